"""ImageFolder: what does not fit is one clear line, which names the thing, the value and the next step."""

import json

import pytest

from tests.datasets.pictures import (
    records,
    touch,
    write_classes,
    write_csv,
    write_domains,
    write_json_lines,
    write_parts,
    write_split_json,
)

ALL = ("path", "label", "classname", "split")
SOURCE = {"SOURCE_DOMAINS": ("photo",), "TARGET_DOMAINS": ("sketch",)}


def csv_with(change, columns=ALL, rows=None):
    """A folder with a CSV file whose rows ``change`` has edited in place; files are those before the change."""

    def write(folder):
        new = [dict(row) for row in rows or records()]
        write_csv(folder, new, columns)
        change(new)
        written = [",".join(columns), *(",".join(str(row[column]) for column in columns) for row in new)]
        (folder / "annotations.csv").write_text("\n".join(written) + "\n")

    return write


def cell(index, **values):
    return lambda rows: rows[index].update(values)


def every(choose, **values):
    return lambda rows: [row.update(values) for row in rows if choose(row)]


def json_lines_with(line):
    def write(folder):
        write_json_lines(folder, records(), ALL)
        with open(folder / "annotations.jsonl", "a") as file:
            file.write(line + "\n")

    return write


def split_with(change):
    def write(folder):
        write_split_json(folder)
        content = json.loads((folder / "split_mine.json").read_text())
        change(content)
        (folder / "split_mine.json").write_text(json.dumps(content))

    return write


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


def both(*writers):
    return lambda folder: [write(folder) for write in writers]


def empty(name):
    return lambda folder: (folder / name).mkdir(parents=True)


BROKEN_TABLES = {
    "no path": (csv_with(lambda rows: None, ("label", "split")), ["no column 'path'", "label, split"]),
    "no class": (csv_with(lambda rows: None, ("path", "split")), ["no column 'label' or 'classname'", "path, split"]),
    "semicolons": (text("annotations.csv", "path;label\na.jpg;1\n"), ["no column 'path'", "path;label"]),
    "column twice": (text("annotations.csv", "path,label,Label\na,1,1\n"), ["column 'label' twice"]),
    "no rows": (text("annotations.csv", "path,label\n"), ["names no pictures"]),
    "empty file": (text("annotations.csv", ""), ["is empty", "path,classname"]),
    "more cells": (text("annotations.csv", "path,classname\na.jpg,cat, small\n"), ["line 2", "3 cells for 2 columns"]),
    "open quote": (text("annotations.csv", 'path,classname\n"a.jpg,cat\n'), ["line 2", "not CSV"]),
    "not text": (lambda f: (f / "annotations.csv").write_bytes(b"\xff\xfe\x00"), ["cannot be read"]),
    "absolute": (csv_with(cell(1, path="/etc/passwd")), ["line 3", "/etc/passwd", "outside the folder"]),
    "outside": (csv_with(cell(1, path="photo/../../x.jpg")), ["line 3", "../x.jpg", "outside the folder"]),
    "outside, Windows": (csv_with(cell(1, path="..\\x.jpg")), ["line 3", "outside the folder"]),
    "drive": (csv_with(cell(1, path="C:\\x.jpg")), ["line 3", "outside the folder"]),
    "empty path": (csv_with(cell(1, path="")), ["line 3", "path is empty"]),
    "missing image": (csv_with(cell(0, path="photo/none.jpg")), ["is missing", "photo/none.jpg"]),
    "twice": (csv_with(cell(1, path="./photo/train/Great_auk-0.jpg")), ["line 3", "listed twice", "line 2"]),
    "empty class": (csv_with(cell(2, classname=" ")), ["line 4", "classname is empty"]),
    "empty label": (csv_with(cell(2, label="")), ["line 4", "label is empty"]),
    "label of text": (csv_with(cell(2, label="1.0")), ["line 4", "'1.0'", "whole numbers"]),
    "negative": (csv_with(cell(2, label=-1)), ["line 4", "'-1'", "whole numbers"]),
    "mixed": (csv_with(cell(2, label="auk"), ("path", "label", "split")), ["line 4", "'auk'", "whole numbers"]),
    "two names": (csv_with(cell(0, classname="dog")), ["label 0 is 'dog' on line 2 and 'Great auk' on line 3"]),
    "two labels": (csv_with(cell(6, classname="Great auk")), ["has label 0 on line 2 and label 1 on line 8"]),
    "gap": (csv_with(every(lambda r: r["label"] == 3, label=5)), ["no training image for label 3", "without a gap"]),
    "not in train": (csv_with(every(lambda r: r["label"] == 2 and r["split"] == "train", split="val")),
                     ["'dog'", "not in train"]),
    "split": (csv_with(cell(0, split="vall")), ["split", "line 2", "'vall'", "Did you mean 'val'"]),
    "no test": (csv_with(every(lambda r: r["split"] == "test", split="val")), ["no test images"]),
    "no names": (csv_with(lambda rows: None, ("path", "label", "split")), ["classnames.txt", "cannot be read"]),
    "few names": (both(csv_with(lambda rows: None, ("path", "label", "split")), text("classnames.txt", "0 a\n1 b\n")),
                  ["classnames.txt", "no line for the class '2'"]),
    "JSON": (json_lines_with('{"path": '), ["line 49 is not JSON"]),
    "JSON list": (json_lines_with("[1]"), ["line 49 is not a JSON object"]),
    "JSON key": (json_lines_with('{"path": "a.jpg", "split": "val"}'), ["line 49 lacks the key 'label'"]),
    "JSON number": (json_lines_with('{"path": 1, "label": 0, "classname": "a", "split": "val"}'), ["path is 1,"]),
    "JSON bool": (json_lines_with('{"path": "a", "label": true, "classname": "a", "split": "val"}'), ["label is true"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_TABLES)
def test_tables(case, folder, load, user_error):
    write, parts = BROKEN_TABLES[case]
    write(folder)
    user_error(load, *parts)


BROKEN_FOLDERS = {
    "nothing": (lambda f: None, ["no class folders", "annotations.csv"]),
    "flat": (lambda f: touch(f / "a.jpg"), ["no class folders", "annotations.csv"]),
    "empty class": (both(write_classes, empty("zebra")), ["zebra holds no images", "remove the folder"]),
    "empty class of test": (both(write_parts, empty("test/dog2")), ["test/dog2 holds no images"]),
    "only in test": (both(write_parts, lambda f: touch(f / "test/zebra/1.jpg")), ["test/zebra/1.jpg is not in"]),
    "only in val": (both(write_parts, lambda f: touch(f / "val/zebra/1.jpg")), ["'zebra'", "val/zebra/1.jpg"]),
    "no test": (lambda f: write_parts(f, ("train", "val")), ["train/ and val/ but no test/"]),
    "classes beside test": (both(write_classes, lambda f: write_parts(f, ("test",))), ["'Great_auk' next to test/"]),
    "no train": (lambda f: write_parts(f, ("val", "test")), ["no train/"]),
    "same names": (lambda f: write_classes(f, keys=("red_fox", "red fox")), ["'red fox' is given twice", "'red_fox'"]),
    "same names in the file": (both(lambda f: write_classes(f, keys=("a", "b")), text("classnames.txt", "a x\nb x\n")),
                               ["classnames.txt", "'x' is given twice"]),
    "folder named twice": (both(lambda f: write_classes(f, keys=("a", "b")), text("classnames.txt", "a x\na y\nb z\n")),
                           ["classnames.txt", "'a' twice"]),
    "no name": (both(lambda f: write_classes(f, keys=("a", "b")), text("classnames.txt", "a x\nb\n")), ["'b' is not"]),
    "not in the file": (both(write_classes, text("classnames.txt", "dog hound\n")), ["no line for", "'Great_auk'"]),
    "name of underscores": (lambda f: write_classes(f, keys=("a", "__")), ["'__'", "no class name"]),
    "too small": (both(write_classes, lambda f: write_classes(f, 3, ["ant"])), ["Class 'ant' has 3 images: too few"]),
    "domains without their keys": (write_domains, ["photo holds no images", "--source-domains"]),
    "two lists": (both(write_split_json, text("annotations.csv", "")), ["annotations.csv, split_mine.json"]),
    "lost link": (both(write_classes, lambda f: (f / "dog/x.jpg").symlink_to("nowhere.jpg")), ["dog/x.jpg is a link"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_FOLDERS)
def test_folders(case, folder, load, user_error):
    write, parts = BROKEN_FOLDERS[case]
    write(folder)
    user_error(load, *parts)


BROKEN_SPLITS = {
    "not JSON": (text("split_mine.json", "{"), ["split_mine.json is not JSON"]),
    "no key": (split_with(lambda split: split.pop("val")), ["no list 'val'"]),
    "missing image": (split_with(lambda split: split["train"][0].__setitem__(0, "none.jpg")), ["none.jpg"]),
    "outside": (split_with(lambda split: split["train"][3].__setitem__(0, "../a.jpg")), ["outside"]),
    "gap": (split_with(lambda split: split.update(train=[r for r in split["train"] if r[1] != 2])), ["label 2"]),
    "rows": (text("split_mine.json", '{"train": [1], "val": [], "test": []}'), ["'train' entry 0"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_SPLITS)
def test_split_files(case, folder, load, user_error):
    write, parts = BROKEN_SPLITS[case]
    write(folder)
    user_error(load, *parts)


DOMAINS = {
    "folders": write_domains,
    "csv": lambda f: write_csv(f, records(domains=("photo", "sketch", "toy")), (*ALL, "domain")),
}


@pytest.mark.parametrize("layout", DOMAINS)
def test_domains(layout, folder, load, user_error):
    DOMAINS[layout](folder)
    user_error(load, "domain", "'sketh'", "Did you mean 'sketch'", **SOURCE | {"TARGET_DOMAINS": ("sketh",)})
    user_error(load, "'Photo'", "Known: photo, sketch, toy", **SOURCE | {"SOURCE_DOMAINS": ("Photo",)})
    user_error(load, "--source-domains", **SOURCE | {"SOURCE_DOMAINS": ()})
    user_error(load, "--target-domains", **SOURCE | {"TARGET_DOMAINS": ()})


def test_a_class_of_the_target_only(folder, load, user_error):
    write_domains(folder)
    touch(folder / "sketch/zebra/1.jpg")
    user_error(load, "'zebra'", "sketch/zebra/1.jpg", "not in train", **SOURCE)


def test_an_empty_domain(folder, load, user_error):
    csv_with(cell(0, domain=""), (*ALL, "domain"))(folder)
    user_error(load, "line 2", "domain", "empty")


@pytest.mark.parametrize("layout", [write_split_json, lambda folder: write_csv(folder, records(), ALL)])
def test_lists_without_domains(layout, folder, load, user_error):
    layout(folder)
    user_error(load, "domain", **SOURCE)


@pytest.mark.parametrize(
    "value, parts",
    [("none.csv", ["LIST_FILE", "none.csv", "no file"]), ("a.txt", ["LIST_FILE", "a.txt", ".csv, .jsonl or .json"])],
)
def test_list_file(value, parts, folder, load, user_error):
    write_classes(folder)
    (folder / "a.txt").touch()
    user_error(load, *parts, LIST_FILE=value)


def test_root(load, user_error, tmp_path):
    user_error(load, "ImageFolder needs --root", root="")
    user_error(load, str(tmp_path / "nowhere"), "--root", root=tmp_path / "nowhere")
