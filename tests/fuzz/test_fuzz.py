"""The fuzz in short, and proof that it would notice: a reader that does what it should not is a failure."""

import json
import os
import pickle
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clip_prompts.common.errors import UserError
from clip_prompts.data.split_file import read_split
from tests.fuzz import __main__ as program
from tests.fuzz import run
from tests.fuzz.formats import FORMATS

pytestmark = pytest.mark.integration

FILES = 60


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_is_read_or_refused_in_one_line(name, tmp_path):
    tally = run.fuzz(name, FILES, seed=0, work=tmp_path)
    assert not tally.failures, tally.failures[0][2]
    assert sum(tally.counts.values()) == FILES


@pytest.mark.parametrize("name", FORMATS)
def test_the_files_of_a_seed_are_always_the_same(name, tmp_path):
    form = FORMATS[name]
    (tmp_path / form.file).parent.mkdir(parents=True, exist_ok=True)
    seeds = form.seeds(tmp_path)
    first = [run.mutated(form, seeds, 1, number) for number in range(20)]
    assert first == [run.mutated(form, seeds, 1, number) for number in range(20)]
    assert len(set(first)) > 10 and first != [run.mutated(form, seeds, 2, number) for number in range(20)]


def read_with_pickle(path):
    pickle.loads(path.read_bytes())


def read_and_write_outside(path):
    (path.parents[2] / "outside").write_text("x")


def read_without_end(path):
    while True:
        pass


def read_and_die(path):
    os._exit(1)


def refuse_in_two_lines(path):
    error = UserError("one\ntwo")
    error.__class__ = type("Plain", (UserError,), {"__str__": lambda self: self.args[0]})
    raise error


def fail(path):
    raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    "read, words",
    [
        (read_with_pickle, "it did what no file may make a reader do"),
        (read_and_write_outside, "outside"),
        (read_without_end, "no end after"),
        (read_and_die, "the process died"),
        (refuse_in_two_lines, "more than one printable line"),
        (fail, "ZeroDivisionError"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_reader_is_noticed(read, words, tmp_path, monkeypatch):
    """It reads the valid files, and does wrong with the first mutated one."""
    monkeypatch.setattr(run, "SECONDS", 0.3)
    good = FORMATS["legacy pickle"]
    valid = good.seeds(tmp_path)
    wrong = b"cposix\nsystem\n(S'true'\ntR."
    bad = replace(
        good,
        refusals=(UserError,),
        spoil=lambda data, r, other: wrong,
        read=lambda path: good.read(path) if path.read_bytes() in valid else read(path),
    )
    monkeypatch.setitem(FORMATS, "legacy pickle", bad)
    tally = run.fuzz("legacy pickle", 2, 1, tmp_path)
    assert tally.counts["failed"] == 2
    assert all(words in text for _, _, text in tally.failures)


def test_the_program_prints_a_table_and_keeps_what_failed(tmp_path, capsys, monkeypatch):
    good = FORMATS["class list"]
    valid = good.seeds(tmp_path)
    monkeypatch.setitem(
        FORMATS, "class list", replace(good, read=lambda p: good.read(p) if p.read_bytes() in valid else fail(p))
    )
    args = ["--files", "3", "--formats", "class list", "--failures", str(tmp_path / "failures")]
    assert program.main(args) == 1
    assert "| class list |       3 |" in capsys.readouterr().out
    kept = sorted((tmp_path / "failures" / "class list").iterdir())
    assert [file.name for file in kept] == ["0", "0.txt", "1", "1.txt", "2", "2.txt"]
    assert "ZeroDivisionError" in kept[1].read_text()
    assert program.main(["--formats", "nothing"]) == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(
    st.tuples(st.sampled_from(["a.jpg", "b/c.jpg", "../x", "/etc/passwd", ""]), st.integers(-1, 3), st.text(max_size=3))
    | values,
    max_size=4,
)


@settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=values | st.fixed_dictionaries({"train": rows, "val": rows, "test": rows}))
def test_any_json_as_split_file(content, tmp_path, capsys):
    """Hypothesis builds the documents, where the mutators start from valid ones."""
    for name in ("a.jpg", "b/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    path = tmp_path / "split.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        lists = read_split(str(path), str(tmp_path))
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert {item.impath for items in lists for item in items} <= {str(tmp_path / n) for n in ("a.jpg", "b/c.jpg")}


def test_mutators_cover_the_known_attacks():
    """Calls, tags and paths that lead outside are among what the mutators put in."""
    r = random.Random(0)
    pickles = b"".join(FORMATS["legacy pickle"].spoil(pickle.dumps({"a": [1]}), r, b"") for _ in range(300))
    assert b"system" in pickles and b"Popen" in pickles
    yamls = b"".join(FORMATS["config, YAML"].spoil(b"A: {B: 1}\n", r, b"") for _ in range(300))
    assert b"!!python/object/apply" in yamls and b"&n1" in yamls
    texts = b"".join(FORMATS["split file"].spoil(b'{"train": [["a.jpg", 0, "a"]]}', r, b"") for _ in range(300))
    assert b"/etc/passwd" in texts and b"../" in texts
