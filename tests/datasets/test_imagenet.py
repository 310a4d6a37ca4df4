"""ImageNet and its variants: class folders named by ``classnames.txt``, and a listing that is kept."""

import json
import os
import random
import time
from pathlib import Path

import pytest
from dassl.data import DataManager
from dassl.data.checks import is_test_only, validates_on_test

import clip_prompts.data.image_listing as image_listing
from tests.datasets.replicas import touch
from tests.datasets.replicas.imagenet import CLASSES, REPLICAS

WNIDS = list(CLASSES)
CRANES = [label for label, name in enumerate(CLASSES.values()) if name == "crane"]


@pytest.fixture
def imagenet(tmp_path):
    """The dataset folder; its folders have not changed for long."""
    REPLICAS["ImageNet"](tmp_path / "root")
    folder = tmp_path / "root" / "imagenet"
    age(folder)
    return folder


def age(folder, seconds=3600):
    then = time.time() - seconds
    for path in sorted(folder.rglob("*/"), reverse=True):
        os.utime(path, (then, then))


@pytest.fixture
def listed(monkeypatch):
    """The names of the folders that were listed, in order."""
    calls = []

    def image_names(folder, remedy=""):
        calls.append(Path(folder).name)
        return original(folder, remedy)

    original = image_listing.image_names
    monkeypatch.setattr(image_listing, "image_names", image_names)
    return calls


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


def test_a_second_load_lists_no_folder(imagenet, build, listed, names):
    first = build(name="ImageNet")
    assert len(listed) == 2 * len(CLASSES)
    listed.clear()
    again = build(name="ImageNet")
    assert not listed
    assert again.split_sha256 == first.split_sha256


def test_only_a_folder_that_changed_is_listed_again(imagenet, build, listed):
    build(name="ImageNet")
    listed.clear()
    touch(imagenet / "images" / "val" / WNIDS[3] / "new.JPEG")
    (imagenet / "images" / "train" / WNIDS[5] / f"{WNIDS[5]}_2.JPEG").unlink()
    dataset = build(name="ImageNet")
    assert listed == [WNIDS[5], WNIDS[3]]
    assert (len(dataset.train_x), len(dataset.test)) == (35, 37)


def test_a_folder_that_changed_just_now_is_not_relied_upon(imagenet, build, listed):
    """Two changes within one tick of the file system's clock leave the same time."""
    place = imagenet / "images" / "val" / WNIDS[3]
    now = time.time_ns()
    os.utime(place, ns=(now, now))
    build(name="ImageNet")
    touch(place / "late.JPEG")
    os.utime(place, ns=(now, now))
    assert len(build(name="ImageNet").test) == 37


def replaced(change):
    def damage(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def names_of(content):
    return content["folders"][f"train/{WNIDS[0]}"][1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff"),
        replaced(lambda content: content.update(version=0)),
        replaced(lambda content: content.update(folders=[])),
        replaced(lambda content: names_of(content).append("../../../secret.JPEG")),
        replaced(lambda content: names_of(content).append(3)),
        replaced(lambda content: names_of(content).clear()),
        replaced(lambda content: content["folders"].update({f"train/{WNIDS[0]}": 3})),
    ],
)
def test_a_damaged_listing_is_made_anew(imagenet, build, damage):
    first = build(name="ImageNet").split_sha256
    damage(imagenet / "listing.json")
    assert build(name="ImageNet").split_sha256 == first
    content = json.loads((imagenet / "listing.json").read_text())
    assert content["version"] == 1 and len(names_of(content)) == 3


def test_the_listing_goes_to_the_users_cache_where_the_folder_cannot_be_written(
    imagenet, build, own_cache, listed, monkeypatch
):
    import clip_prompts.data.storage as storage

    def replace(source, target):
        if str(target).startswith(str(imagenet)):
            raise OSError(30, "Read-only file system")
        return os_replace(source, target)

    os_replace = os.replace
    monkeypatch.setattr(storage.os, "replace", replace)
    build(name="ImageNet")
    listed.clear()
    build(name="ImageNet")
    assert not listed
    assert len(list(own_cache.glob("listings/ImageNet-*.json"))) == 1


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
    "lacks": (lambda f: (f / "images/val" / WNIDS[4]).rename(f / "x"), ["lacks 1 of 12 class folders", WNIDS[4]]),
    "strange": (lambda f: touch(f / "images/train/n99/x.JPEG"), ["the folder n99, which is no class of classnames"]),
    "no train": (lambda f: (f / "images/train").rename(f / "x"), ["images/train cannot be read", "image-net.org"]),
    "empty class": (empty, [f"{WNIDS[2]} holds no images"]),
    "link": (link, ["x.JPEG is a link to an image that is not there"]),
    "no names": (lambda f: (f / "classnames.txt").unlink(), ["classnames.txt cannot be read", "prepare ImageNet"]),
    "no wnid": (line("n01440764 tench", "tench"), ["classnames.txt: 'tench' is not a wnid and a name"]),
    "no name": (line("n01440764 tench", "n01440764"), ["'n01440764' is not a wnid and a name"]),
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
