"""tools/data.py show: what is on a contact sheet."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from dassl.data.datasets import Datum
from PIL import Image

from datafiles import sheet as sheets
from datafiles import state
from tests.datasets.pictures import COLOURS, draw
from tests.datasets.replicas import REPLICAS
from tools.data import main


@pytest.fixture
def pictures(tmp_path):
    draw(tmp_path / "own", 10, seed=0, noise=0)
    return tmp_path / "own"


def pixels_of(image, cell):
    return np.asarray(image.crop(cell.box)).reshape(-1, 3)


def test_every_picture_is_in_its_cell(pictures):
    data = state.build("ImageFolder", str(pictures))
    sheet = sheets.draw_sheet(data, "ImageFolder: own", per_class=3)
    assert sheet.title == "ImageFolder: own" and sheet.n_classes == 4
    assert sheet.subtitles[0] == "4 classes  ·  train 20  ·  val 8  ·  test 12"
    assert len(sheet.cells) == 4 * 3 and not sheet.broken
    assert [lines for lines in sheet.names.values()] == [[name.replace("_", " ")] for name in sorted(COLOURS)]
    for cell in sheet.cells:
        colour = COLOURS[cell.classname.replace(" ", "_")]
        assert (pixels_of(sheet.image, cell) == colour).all()
        left, top, right, bottom = cell.box
        assert (right - left, bottom - top) == (72, 48)  # 36 x 24, in whole steps
        assert 0 <= left < right <= sheet.image.width and 0 <= top < bottom <= sheet.image.height
    boxes = [cell.box for cell in sheet.cells]
    for i, a in enumerate(boxes):
        assert all(a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for b in boxes[:i]), "cells overlap"
    trained_on = {item.impath for item in data.train_x}
    assert {cell.path for cell in sheet.cells} <= trained_on


def test_the_choice_depends_on_the_seed_alone(pictures):
    data = state.build("ImageFolder", str(pictures))

    def paths(**kwargs):
        return [cell.path for cell in sheets.draw_sheet(data, "own", per_class=2, **kwargs).cells]

    assert paths() == paths() and paths() != paths(seed=2)
    assert paths(classes=1) == paths()[:2]  # a class shows the same pictures whatever else is shown


def test_command_writes_the_sheet(pictures, tmp_path, capsys):
    file = tmp_path / "new" / "sheet.png"
    assert main(["show", "ImageFolder", "--root", str(pictures), "--classes", "2", "--output", str(file)]) == 0
    assert "Wrote 10 pictures of 2 of 4 classes to " in capsys.readouterr().out
    with Image.open(file) as image:
        assert image.format == "PNG" and image.mode == "RGB"
    assert [path.name for path in file.parent.iterdir()] == ["sheet.png"]
    assert {path.name for path in pictures.iterdir()} == set(COLOURS)  # nothing is written beside the pictures


def test_an_embedded_dataset_needs_no_root(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "Digits", "--per-class", "1"]) == 0
    assert "Wrote 10 pictures of 10 of 10 classes" in capsys.readouterr().out
    assert (tmp_path / "Digits.png").is_file()


def test_settings_of_a_folder_come_from_a_file(pictures, tmp_path, capsys):
    with open(pictures / "some.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "classname"])
        writer.writerows([f"red_ball/{i}.png", "ball of mine"] for i in range(5))
    settings = tmp_path / "own.yaml"
    settings.write_text("DATASET:\n  NAME: ImageFolder\n  LIST_FILE: some.csv\n")
    output = ["--root", str(pictures), "--output", str(tmp_path / "s.png")]
    assert main(["show", "ImageFolder", *output, "--dataset-config-file", str(settings)]) == 0
    assert "of 1 of 1 classes" in capsys.readouterr().out
    assert main(["show", "Digits", *output, "--config", str(settings)]) == 2
    assert "is for ImageFolder, not for Digits" in capsys.readouterr().err


def test_a_broken_picture_is_marked_and_named(pictures, tmp_path, capsys):
    data = state.build("ImageFolder", str(pictures))
    lost = data.train_x[0].impath
    with open(lost, "wb") as file:
        file.write(b"no picture")
    sheet = sheets.draw_sheet(data, "own", per_class=5)
    assert [cell.path for cell in sheet.broken] == [lost] and lost in sheet.broken[0].reason
    assert len(sheet.cells) == 20
    assert tuple(sheet.image.getpixel(sheet.broken[0].box[:2])) == (0xC0, 0x39, 0x2B)  # its red frame
    assert main(["show", "ImageFolder", "--root", str(pictures), "--output", str(tmp_path / "s.png")]) == 0
    assert f"unreadable: {lost}\n" in capsys.readouterr().out


def test_of_many_classes_evenly_spread_ones_are_shown(pictures):
    path = str(pictures / "dog.png")
    Image.new("RGB", (200, 100), "blue").save(path)
    items = [Datum(impath=path, label=label, classname=f"class {label}") for label in range(397)]
    data = SimpleNamespace(train_x=items, val=items[:3], test=items, test_only=False)
    sheet = sheets.draw_sheet(data, "many")
    assert sheet.subtitles[0].startswith("397 classes, 20 shown, evenly spread  ·  train 397  ·  val 3")
    assert [cell.label for cell in sheet.cells] == [i * 397 // 20 for i in range(20)]
    assert all((right - left, low - top) == (96, 48) for left, top, right, low in (c.box for c in sheet.cells))
    assert 0.5 < sheet.image.width / sheet.image.height < 2.5


def test_long_names_are_wrapped_whole(pictures):
    path = str(pictures / "dog.png")
    Image.new("RGB", (9, 9)).save(path)
    names = [
        "2012 Ferrari California Convertible with a long name",
        "x" * 90,
        "outdoor apartment_building/of-many_parts",
    ]
    items = [Datum(impath=path, label=label, classname=name) for label, name in enumerate(names)]
    sheet = sheets.draw_sheet(SimpleNamespace(train_x=items, val=None, test=items), "long")
    font = sheets._font(15, bold=True)
    for label, name in enumerate(names):
        lines = sheet.names[label]
        assert len(lines) > 1 and all(font.getlength(line) <= sheets.NAME for line in lines)
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_split_sizes_and_names_of_every_replica(name, tmp_path):
    """Their images are empty files, so all cells are marked; names and sizes are there all the same."""
    REPLICAS[name](tmp_path)
    data = state.build(name, str(tmp_path))
    sheet = sheets.draw_sheet(data, name, per_class=1)
    assert len(sheet.cells) == len(sheet.broken) == min(data.num_classes, 20)
    assert sheet.n_classes == data.num_classes
    assert f"test {len(data.test):,}" in sheet.subtitles[0]
    assert ("no other split" in sheet.subtitles[0]) == data.test_only
    assert ("the test list" in sheet.subtitles[0]) == (name == "ImageNet")
    assert all(cell.classname == data.lab2cname[cell.label] for cell in sheet.cells)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["Digit"], "Did you mean 'Digits'?"),
        (["OxfordPets", "--root", "nowhere"], "nowhere does not exist. Give --root"),
        (["OxfordPets"], "Give --root"),
        (["Digits", "--classes", "0"], "--classes 0: give a whole number from 1"),
        (["Digits", "--per-class", "-3"], "--per-class -3: give a whole number from 1"),
        (["Digits", "--per-class", "500"], "are 5000 pictures; a sheet holds at most 2000"),
        (["Digits", "--output", "sheet.jpg"], "ends in .png"),
        (["Digits", "--output", "folder.png"], "is a folder"),
        (["Digits", "--output", "file/sheet.png"], "Choose another --output"),
        (["Digits", "--config", "none.yaml"], "No config file 'none.yaml'"),
    ],
)
def test_bad_requests_are_one_line(args, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    assert main(["show", *args]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Error: ") and err.count("\n") == 1 and says in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
