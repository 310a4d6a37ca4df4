"""A split file that does not fit is refused with one line that names what is wrong."""

import json
import time

import pytest

from clip_prompts.data.split_file import read_split, save_split


def set_row(part, index, value):
    def change(split):
        split[part][index] = value

    return change


def drop_class(part, label):
    def change(split):
        split[part] = [row for row in split[part] if row[1] != label]

    return change


def rename(label, name, parts=("train", "val", "test")):
    def change(split):
        for part in parts:
            for row in split[part]:
                if row[1] == label:
                    row[2] = name

    return change


def shift_labels(split):
    for part in split.values():
        for row in part:
            row[1] += 1


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        pytest.param(lambda split: split.pop("val"), ["no list 'val'"], id="missing key"),
        pytest.param(set_row("train", 3, ["nobody_7.jpg", 0, "abyssinian"]), ["nobody_7.jpg"], id="missing image"),
        pytest.param(set_row("val", 0, ["../x.jpg", 0, "abyssinian"]), ["'val' entry 0", "../x.jpg"], id="outside"),
        pytest.param(set_row("val", 0, ["/etc/passwd", 0, "abyssinian"]), ["/etc/passwd"], id="absolute"),
        pytest.param(set_row("test", 1, ["a.jpg", 0]), ["'test' entry 1", '["a.jpg", 0]'], id="short row"),
        pytest.param(set_row("train", 0, ["Abyssinian_1.jpg", -1, "a"]), ["the label is -1"], id="negative label"),
        pytest.param(set_row("train", 0, ["Abyssinian_1.jpg", True, "a"]), ["the label is True"], id="bool label"),
        pytest.param(set_row("train", 0, ["Abyssinian_1.jpg", 0, " "]), ["the class name is ' '"], id="blank name"),
        pytest.param(shift_labels, ["no training image for label 0"], id="labels from 1"),
        pytest.param(drop_class("train", 4), ["empty class", "label 4 ('egyptian_mau')"], id="empty class"),
        pytest.param(set_row("test", 0, ["Ragdoll_31.jpg", 10, "new"]), ["label 10 ('new')"], id="class only in test"),
        pytest.param(rename(4, "beagle"), ["class name 'beagle' to labels 3 and 4"], id="duplicate name"),
        pytest.param(rename(4, "mau", ["test"]), ["label 4 two class names: 'egyptian_mau' and 'mau'"], id="two names"),
        pytest.param(lambda split: split["train"].clear(), ["no training images"], id="empty train"),
        pytest.param(lambda split: split["test"].clear(), ["no test images"], id="empty test"),
    ],
)
def test_refused(pets, build, edit_split, user_error, change, parts):
    edit_split(change)
    user_error(build, str(pets), *parts) if "entry" in parts[0] else user_error(build, *parts)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\ufeff{}"])
def test_not_a_json_object(pets, build, user_error, text):
    path = pets / "split_zhou_OxfordPets.json"
    path.write_text(text)
    user_error(build, f"Split file {path}")


def test_missing_images_are_counted(pets, build, user_error):
    for i in (1, 2, 3):
        (pets / "images" / f"Bengal_{i}.jpg").unlink()
    user_error(build, "Bengal_1.jpg", "3 of 240 are missing")


def test_saved_splits_read_back_and_hold_relative_paths(pets, tmp_path):
    lists = read_split(str(pets / "split_zhou_OxfordPets.json"), str(pets / "images"))
    path = tmp_path / "copy.json"
    save_split(*lists, str(path), str(pets / "images"))
    assert json.loads(path.read_text()) == json.loads((pets / "split_zhou_OxfordPets.json").read_text())
    assert path.read_text().startswith('{\n    "train": [\n')


def test_an_image_outside_the_prefix_cannot_be_saved(pets, tmp_path, user_error):
    lists = read_split(str(pets / "split_zhou_OxfordPets.json"), str(pets / "images"))
    other = str(tmp_path / "elsewhere")
    user_error(lambda: save_split(*lists, str(tmp_path / "x.json"), other), "is outside", other)


@pytest.mark.slow
def test_a_large_split_loads_quickly(tmp_path):
    """10,000 entries, a quarter of SUN397, well within its share of three seconds."""
    for i in range(10_000):
        (tmp_path / f"{i}.jpg").touch()
    rows = [[f"{i}.jpg", i % 397, f"c{i % 397}"] for i in range(10_000)]
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": rows[:5000], "val": [], "test": rows[5000:]}))
    start = time.perf_counter()
    read_split(str(path), str(tmp_path))
    assert time.perf_counter() - start < 2
