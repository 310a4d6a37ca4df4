"""``clip-prompts`` from the command line: outputs, exit statuses, one line for an error."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from clip_prompts.prompt.cli import main

from .made import NAMES, made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(made(tmp_path_factory.mktemp("made") / "prompt"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "inner").mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "inner/=c.png")):
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
    assert [row["path"].rpartition("/")[2] for row in rows] == ["a.png", "b.jpg", "=c.png"]
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
        (["--top", "0", "x"], "--top 0 is not a number of classes from 1"),
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
        assert status == 2 and "does not end in one of" in capsys.readouterr().err
        return
    assert status == 0 and file.is_file()
    if suffix == ".npz":
        with np.load(file) as content:
            assert content["weight"].shape == (3, 128) and content["names"].tolist() == NAMES


def test_a_head_for_a_prompted_image_encoder_is_refused(tmp_path, capsys):
    assert main(["head", str(made(tmp_path, "MaPLe")), "--to", str(tmp_path / "head.npy")]) == 2
    assert "the features of a plain CLIP do not fit" in capsys.readouterr().err
    assert not (tmp_path / "head.npy").exists()
