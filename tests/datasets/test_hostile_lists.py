"""Untrusted lists and selections: no code in them runs, and a reader copes with all content."""

import json
import pickle
import time

import pytest

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import read_json
from clip_prompts.data.annotations import read_fields
from clip_prompts.data.folders.table import list_table
from clip_prompts.data.legacy_pickle import read_legacy
from clip_prompts.data.split_file import read_split

DATUM = b"cdassl.data.datasets.base_dataset\nDatum\n"


@pytest.mark.parametrize(
    "content, word",
    [
        (b"cos\nsystem\n(S'touch CANARY'\ntR.", "os.system"),
        (b"\x80\x04\x8c\x05po\nix\x8c\x06system\x93.", "po ix.system"),
        (b"(S'touch CANARY'\nios\nsystem\n.", "os.system"),
        (b"\x80\x02}r\xff\xff\xff\xff.", "4294967295"),
        (b"\x80\x05\x8e" + b"\xff" * 7 + b"\x7f" + b"x.", "bytes8"),
        (b"\x80\x02}X\x05\x00\x00\x00train]" + DATUM + b")\x81}X\x07\x00\x00\x00_impath]sbas.", "_impath"),
        (b"(l.", "list"),
        (b"", "pickle"),
    ],
)
def test_a_pickle_is_refused_in_one_line(content, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(content)
    started = time.monotonic()
    with pytest.raises(pickle.UnpicklingError) as caught:
        read_legacy(str(tmp_path / "a.pkl"))
    assert word in str(caught.value) and str(caught.value).isprintable()
    assert not (tmp_path / "CANARY").exists() and time.monotonic() - started < 5


def test_a_pickle_changes_nothing_for_the_next_one(tmp_path):
    """Instructions may set attributes of the class that replaces Datum."""
    state = b"}(X\x07\x00\x00\x00_impathX\x05\x00\x00\x00a.jpgX\x06\x00\x00\x00_labelK\x00"
    state += b"X\x0a\x00\x00\x00_classnameX\x03\x00\x00\x00catu"
    good = b"\x80\x02}X\x05\x00\x00\x00train]" + DATUM + b")\x81" + state + b"bas."
    spoil = b"\x80\x02" + DATUM + b"N}X\x0c\x00\x00\x00__setstate__K\x01s\x86b0}."
    for content in (good, spoil, good):
        (tmp_path / "a.pkl").write_bytes(content)
        assert read_legacy(str(tmp_path / "a.pkl")) == ({"train": [("a.jpg", 0, "cat")]} if content == good else {})


@pytest.mark.parametrize(
    "row",
    [["a\0.jpg", 0, "cat"], ["\ud800/a.jpg", 0, "cat"], ["a.jpg", 0, "\ud800"], ["a.jpg\n\x1b[2J", 0, "cat"]],
    ids=ascii,
)
def test_text_that_no_file_has_is_refused(row, tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "split.json").write_text(json.dumps({"train": [row], "val": [], "test": [row]}))
    with pytest.raises(UserError) as caught:
        read_split(str(tmp_path / "split.json"), str(tmp_path))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["[" * 100_000, "NaN", "[1e999]", "[1" + "0" * 5000 + "]", '{"a": ', "\udcff"])
def test_json_that_cannot_be_read_is_a_value_error(text, tmp_path):
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")


def test_numbers_without_end_are_no_labels(tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg " + "9" * 5000 + "\n")
    with pytest.raises(UserError, match="is not a whole number"):
        list(read_fields(str(tmp_path / "list.txt"), 2, [1]))
    (tmp_path / "a.csv").write_text("path,label\na.jpg,0\nb.jpg," + "9" * 5000 + "\n")
    with pytest.raises(UserError, match="the label is"):
        list_table(str(tmp_path / "a.csv"), str(tmp_path))


def test_the_first_line_of_json_lines_may_lack_everything(tmp_path):
    (tmp_path / "a.jsonl").write_text('{}\n{"path": "a.jpg", "classname": "cat"}\n')
    with pytest.raises(UserError, match="line 2 has the key 'path'"):
        list_table(str(tmp_path / "a.jsonl"), str(tmp_path))
