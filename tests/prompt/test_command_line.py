"""``clip-prompts`` from the command line: outputs, exit statuses, one line for an error."""

import csv
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from clip_prompts.prompt import hub
from clip_prompts.prompt.cli import main

from .made import NAMES, made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(made(tmp_path_factory.mktemp("made") / "prompt"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "inner").mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "inner/=c.tga")):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (40, 40, 3), np.uint8)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_predict_writes_a_row_for_each_picture_and_reports_the_others(folder, photos, tmp_path, capsys):
    out = tmp_path / "predictions.csv"
    assert main(["predict", folder, str(photos), "--csv", str(out), "--top", "2"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("Skipped: ") and "broken.jpg" in said.err and said.err.count("\n") == 1
    assert said.out.startswith("3 pictures in ") and "1 skipped" in said.out
    rows = list(csv.DictReader(out.open()))
    assert [row["path"].rpartition("/")[2] for row in rows] == ["a.png", "b.jpg", "=c.tga"]
    assert rows[0].keys() == {"path", "class_1", "probability_1", "class_2", "probability_2"}
    assert all(row["class_1"] in NAMES and float(row["probability_1"]) >= float(row["probability_2"]) for row in rows)


def test_predict_with_a_pattern_other_classes_and_json(folder, photos, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("cat\n\ndog \n")
    assert main(["predict", folder, f"{photos}/*.png", "--classes", str(tmp_path / "names.txt"), "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["path"].endswith("a.png") and found["classes"][0] in ("cat", "dog")


@pytest.mark.parametrize(
    "args, words",
    [
        (["nowhere/"], "'nowhere/' does not exist"),
        (["--top", "0", "x"], "--top 0 is below 1. Give the number of classes"),
        (["--classes", "nofile", "{photos}"], "File 'nofile' of class names cannot be read"),
        (["--backbone", "tiiny", "{photos}"], "Did you mean 'tiny'?"),
    ],
)
def test_predict_refuses_in_one_line(folder, photos, args, words, capsys):
    assert main(["predict", folder, *(arg.format(photos=photos) for arg in args)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and words in said and said.count("\n") == 1


def test_only_unreadable_pictures_are_an_error(folder, photos, capsys):
    assert main(["predict", folder, str(photos / "broken.jpg")]) == 2
    assert "Skipped: " in capsys.readouterr().err


def test_show_export_and_interpret(folder, tmp_path, capsys):
    assert main(["show", folder]) == 0
    shown = capsys.readouterr().out
    assert "512 numbers: ctx (4, 128)" in shown and "red circle, blue square" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert main(["show", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"]["name"] == "CoOp"
    assert main(["export", folder, str(tmp_path / "out"), "--license", "mit"]) == 0
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()
    assert main(["interpret", folder, "-k", "2"]) == 0
    assert "Read them with care" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".pt"])
def test_head_in_every_format(folder, tmp_path, suffix, capsys):
    file = tmp_path / f"head{suffix}"
    status = main(["head", folder, "--to", str(file)])
    if suffix == ".pt":
        assert status == 2 and "does not end in a known suffix" in capsys.readouterr().err
        return
    assert status == 0 and file.is_file()
    if suffix == ".npz":
        with np.load(file) as content:
            assert content["weight"].shape == (3, 128) and content["names"].tolist() == NAMES


def test_a_head_for_a_prompted_image_encoder_is_refused(tmp_path, capsys):
    assert main(["head", str(made(tmp_path, "MaPLe")), "--to", str(tmp_path / "head.npy")]) == 2
    assert "features of a plain CLIP do not fit" in capsys.readouterr().err
    assert not (tmp_path / "head.npy").exists()


@pytest.mark.parametrize("option", ["--csv", "--html"])
@pytest.mark.parametrize("kind, words", [
    ("folder", "it is a folder"), ("link", "it is a link"), ("fifo", "it is a FIFO"), ("a.png", "is no name for this"),
    ("", "is no name for this"), ("file/inside.csv", "cannot be used: "),
])  # fmt: skip
def test_what_is_in_the_place_of_a_result_stays(folder, photos, tmp_path, option, kind, words, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "fifo")
    before = {path.name: path.lstat().st_mode for path in tmp_path.iterdir()}
    target = str(tmp_path / kind) if kind else ""
    assert main(["predict", folder, str(photos / "a.png"), option, target]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Error: ") and words in said.err and said.err.count("\n") == 1
    assert {path.name: path.lstat().st_mode for path in tmp_path.iterdir()} == before
    assert (tmp_path / "file").read_text() == "mine"


def test_two_results_need_two_files(folder, photos, tmp_path, capsys):
    file = str(tmp_path / "out")
    assert main(["predict", folder, str(photos / "a.png"), "--csv", file, "--html", file]) == 2
    assert "name one file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["README.md", "results.json"])
def test_export_replaces_prompts_only(folder, tmp_path, name, capsys):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).write_text("mine")
    assert main(["export", folder, str(tmp_path / "own")]) == 2
    assert f"has a file {name}, which would be lost" in capsys.readouterr().err
    assert [path.read_text() for path in (tmp_path / "own").iterdir()] == ["mine"]
    assert main(["export", folder, str(tmp_path / "own" / name)]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert main(["export", folder, str(tmp_path / "new")]) == main(["export", folder, str(tmp_path / "new")]) == 0


def test_a_picture_is_no_prompt(photos, capsys):
    assert main(["show", str(photos / "a.png")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "is neither a prompt nor a checkpoint" in said.err and "Delete" not in said.err


def test_a_folder_that_is_missing_is_no_traceback_without_a_network(monkeypatch, capsys):
    class Broken:
        class HfApi:
            def model_info(self, *args, **kwargs):
                raise RuntimeError("no network")  # the package's HTTP client has errors of its own

    monkeypatch.setattr(hub, "_hub", lambda: Broken)
    assert main(["show", "output/nowhere"]) == 2
    assert "There is no folder 'output/nowhere'" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["show", "output/nowhere"]) == 2
    assert "There is no folder 'output/nowhere'" in capsys.readouterr().err
