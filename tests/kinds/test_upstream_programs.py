"""Upstream's own commands run from the repository's root: parse_test_res.py and interpret_prompt.py."""

import re
import subprocess
import sys

import pytest
import torch

import interpret_prompt
import parse_test_res
from clip_prompts.backbones.loading import load_clip
from tests.conftest import ROOT

pytestmark = pytest.mark.integration


def seed(folder, accuracy=None, log=True):
    folder.mkdir(parents=True)
    end = f"Finish training\n=> result\n* accuracy: {accuracy}%\n"
    if log:
        (folder / "log.txt").write_text("epoch [1/1]\n" + (end if accuracy is not None else ""))


@pytest.mark.parametrize("log", [True, False], ids=["no result", "no log"])
def test_the_summary_says_over_how_many_seeds_it_is(log, tmp_path, capsys):
    seed(tmp_path / "seed1", 38.7)
    seed(tmp_path / "seed2", log=log)
    assert parse_test_res.main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "* accuracy: 38.70% +- 0.00% (n=1 of 2)\n" in out and "seed2" in err


def test_the_summary_of_all_seeds_is_upstreams(tmp_path):
    seed(tmp_path / "seed1", 40.0)
    seed(tmp_path / "seed2", 42.0)
    command = [sys.executable, "parse_test_res.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "\n* accuracy: 41.00% +- 1.00%\n===\n" in done.stdout


@pytest.fixture(scope="module")
def words():
    """Token embedding of the embedded backbone, and the ids of some words."""
    ids = {"photo</w>": 1125, "dog</w>": 1929, "red</w>": 736}
    return load_clip("tiny").token_embedding.weight, ids


def save(file, **state):
    torch.save({"state_dict": state, "epoch": 1}, file)
    return str(file)


@pytest.mark.parametrize("key", ["ctx", "module.ctx", "prompt_learner.ctx"])
def test_nearest_words_of_each_vector(key, words, tmp_path, capsys):
    embedding, ids = words
    rows = [embedding[i] + 0.001 for i in ids.values()]
    file = save(tmp_path / "model.pth.tar-1", **{key: torch.stack(rows)})
    assert interpret_prompt.main([file, "2", "--backbone", "tiny"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Return the top-2 matched words"
    assert out[1] == "Size of token embedding: torch.Size([49408, 128])"
    assert "Size of context: torch.Size([3, 128])" in out and "Size of distance matrix: torch.Size([3, 49408])" in out
    for number, (word, line) in enumerate(zip(ids, out[-3:], strict=True), 1):
        assert re.fullmatch(rf"{number}: \['{word}', '[^']+'\] \['0\.0113', '0?\d*\.\d{{4}}'\]", line), line


def test_class_specific_vectors_are_listed_per_class(words, tmp_path, capsys):
    embedding, ids = words
    photo, dog, red = ids.values()
    file = save(tmp_path / "model.pth.tar-1", ctx=torch.stack([embedding[[photo, dog]], embedding[[red, photo]]]))
    assert interpret_prompt.main([file, "1", "--backbone", "tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()[-6:]
    assert lines[0] == "Class 1" and lines[3] == "Class 2"
    assert "dog</w>" in lines[2] and "red</w>" in lines[4] and "photo</w>" in lines[5]


@pytest.mark.parametrize("trainer", ["CoOp", "CoCoOp"])
def test_the_backbone_is_that_of_the_run(trainer, run, capsys):
    assert run(trainer) == 0
    file = next(run.out.glob("prompt_learner/model.pth.tar-*"))
    assert interpret_prompt.main([str(file), "1"]) == 0
    assert re.search(r"^1: \['.+'\] \['\d\.\d{4}'\]$", capsys.readouterr().out, re.M)
    assert interpret_prompt.main([str(file), "1", "--backbone", "tiny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and "--backbone" in line


@pytest.mark.parametrize(
    "state",
    [{}, {"ctx": torch.full((2, 128), float("nan"))}, {"ctx": torch.zeros(128)}, {"ctx": torch.zeros(2, 64)},
     {"ctx": torch.zeros(0, 128)}, {"ctx": torch.zeros(2, 128, dtype=torch.cfloat)}],
    ids=["none", "nan", "1d", "width", "empty", "complex"],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(state, tmp_path, capsys):
    file = save(tmp_path / "model.pth.tar-1", **state)
    assert interpret_prompt.main([file, "3", "--backbone", "tiny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and file in line


@pytest.mark.parametrize("content", [None, b"", b"text"], ids=["missing", "empty", "text"])
def test_what_is_no_checkpoint_is_refused_in_one_line(content, tmp_path, capsys):
    file = tmp_path / "model.pth.tar-1"
    if content is not None:
        file.write_bytes(content)
    assert interpret_prompt.main([str(file), "3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and str(file) in line
