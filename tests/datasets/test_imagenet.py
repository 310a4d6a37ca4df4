"""ImageNet and its variants: class folders named by ``classnames.txt``."""

import json
import random
from pathlib import Path

import pytest
from dassl.data import DataManager
from dassl.data.checks import is_test_only, validates_on_test

from tests.datasets.replicas import touch
from tests.datasets.replicas.imagenet import CLASSES, REPLICAS

WNIDS = list(CLASSES)
CRANES = [label for label, name in enumerate(CLASSES.values()) if name == "crane"]


@pytest.fixture
def imagenet(tmp_path):
    """The dataset folder."""
    REPLICAS["ImageNet"](tmp_path / "root")
    folder = tmp_path / "root" / "imagenet"
    return folder


def test_two_classes_of_one_name_are_two_classes(imagenet, build):
    dataset = build(name="ImageNet")
    assert len(CRANES) == 2
    assert dataset.num_classes == len(dataset.classnames) == 12
    for label in CRANES:
        assert {Path(i.impath).parent.name for i in dataset.train_x if i.label == label} == {WNIDS[label]}


def test_labels_are_ranks_of_wnids_whatever_the_order_of_the_names(imagenet, build):
    first = build(name="ImageNet")
    path = imagenet / "classnames.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert build(name="ImageNet").split_sha256 == first.split_sha256


def test_shots_are_drawn_from_train_only(imagenet, build, names):
    full, few = build(name="ImageNet"), build(name="ImageNet", shots=2, seed=3)
    assert names(few.val) == names(few.test) == names(full.test)
    random.seed(3)
    groups = [[i for i in full.train_x if i.label == label] for label in range(12)]
    assert names(few.train_x) == names([i for group in groups for i in random.sample(group, 2)])
    (kept,) = (imagenet / "split_fewshot").iterdir()
    assert json.loads(kept.read_text())["val"] == []


@pytest.mark.parametrize("classes", ["all", "base", "new"])
def test_val_is_the_test_list_by_design_and_selects_no_epoch(classes, imagenet, make_cfg):
    cfg = make_cfg(name="ImageNet", classes=classes)
    cfg.USE_CUDA, cfg.DATALOADER.NUM_WORKERS = False, 0
    data = DataManager(cfg).dataset
    assert data.val is data.test and validates_on_test(data) and not is_test_only(data)


def test_every_load_sees_new_and_removed_images(imagenet, build):
    build(name="ImageNet")
    touch(imagenet / "images" / "val" / WNIDS[3] / "new.JPEG")
    (imagenet / "images" / "train" / WNIDS[5] / f"{WNIDS[5]}_2.JPEG").unlink()
    dataset = build(name="ImageNet")
    assert (len(dataset.train_x), len(dataset.test)) == (35, 37)


def flat(folder):
    for place in (folder / "images" / "val").iterdir():
        if place.is_dir():
            for image in place.iterdir():
                image.rename(folder / "images" / "val" / f"{place.name}_{image.name}")
            place.rmdir()


def link(folder):
    (folder / "images" / "train" / WNIDS[0] / "x.JPEG").symlink_to(folder / "nowhere.JPEG")


def line(old, new):
    def change(folder):
        path = folder / "classnames.txt"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def empty(folder):
    for file in (folder / "images" / "train" / WNIDS[2]).iterdir():
        file.unlink()


BROKEN = {
    "flat": (flat, ["holds 36 images that are not in class folders", "n01440764_ILSVRC", "valprep.sh"]),
    "one flat": (lambda f: touch(f / "images/val/x.JPEG"), ["holds 1 images that are not in class folders", "x.JPEG"]),
    "lacks": (lambda f: (f / "images/val" / WNIDS[4]).rename(f / "x"), ["1 of 12 class folders are missing", WNIDS[4]]),
    "strange": (lambda f: touch(f / "images/train/n99/x.JPEG"), ["the folder n99, which is not a class in classnames"]),
    "no train": (lambda f: (f / "images/train").rename(f / "x"), ["images/train cannot be read", "image-net.org"]),
    "empty class": (empty, [f"{WNIDS[2]} holds no images"]),
    "link": (link, ["x.JPEG is a link to an image that does not exist"]),
    "no names": (lambda f: (f / "classnames.txt").unlink(), ["classnames.txt cannot be read", "prepare ImageNet"]),
    "no wnid": (line("n01440764 tench", "tench"), ["classnames.txt: 'tench' is not a WordNet id and a name"]),
    "no name": (line("n01440764 tench", "n01440764"), ["'n01440764' is not a WordNet id and a name"]),
    "wnid twice": (line("n01443537", "n01440764"), ["the class n01440764 twice: 'tench' and 'goldfish'"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_release_is_one_clear_line(case, imagenet, build, user_error):
    damage, parts = BROKEN[case]
    damage(imagenet)
    user_error(build, *parts, name="ImageNet")


def test_a_numbered_folder_beyond_the_classes_is_named(build, user_error, tmp_path):
    REPLICAS["ImageNetV2"](tmp_path / "root")
    touch(tmp_path / "root/imagenetv2/imagenetv2-matched-frequency-format-val/12/x.jpeg")
    user_error(build, "holds the folder 12", name="ImageNetV2")


@pytest.mark.parametrize("name", sorted(set(REPLICAS) - {"ImageNet"}))
def test_a_variant_takes_imagenets_class_names(name, imagenet, build, tmp_path):
    replica = REPLICAS[name](tmp_path / "root")
    (own,) = set((tmp_path / "root").glob("*/classnames.txt")) - {imagenet / "classnames.txt"}
    own.unlink()
    dataset = build(name=name, shots=2)
    assert dataset.classnames == replica.classnames
    assert len(dataset.train_x) == len(dataset.test) == len(replica.rows)  # no shots of a list that is tested on
