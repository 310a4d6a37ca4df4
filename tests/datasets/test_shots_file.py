"""Few-shot selections as files: two people train on the same images, no matter where they store the data."""

import json
import random
import shutil

import pytest
from dassl.data.datasets import build_dataset

from tests.datasets.replicas import REPLICAS
from tools.data import main


@pytest.fixture
def shots_file(pets, tmp_path):
    """Two shots of the replica, exported with seed 3."""
    path = tmp_path / "out" / "shots.json"
    assert main(["shots", "OxfordPets", "--shots", "2", "--seed", "3", "--root", str(pets.parent),
                 "--output", str(path)]) == 0  # fmt: skip
    return path


@pytest.fixture
def load(make_cfg):
    """``load(file, ...)``: build a dataset with a shots file, seeded as a run seeds it."""

    def make(file, **kwargs):
        cfg = make_cfg(**kwargs)
        cfg.DATASET.SHOTS_FILE = str(file)
        random.seed(cfg.SEED)
        return build_dataset(cfg)

    return make


def test_the_export_is_what_a_run_draws(shots_file, build, names, pets):
    content, drawn = json.loads(shots_file.read_text()), build(shots=2, seed=3)
    assert [row[0] for row in content["train"]] == names(drawn.train_x)
    assert [row[0] for row in content["val"]] == names(drawn.val)
    assert (content["dataset"], content["num_shots"], content["seed"]) == ("OxfordPets", 2, 3)


def test_a_stored_selection_is_the_export_and_serves_as_one(shots_file, load, build, names, pets):
    wanted = build(shots=2, seed=3)
    (stored,) = (pets / "split_fewshot").glob("shot_2-seed_3-*.json")
    assert stored.read_text() == shots_file.read_text()
    assert names(load(stored, shots=2, seed=1).train_x) == names(wanted.train_x)


def test_a_selection_of_an_earlier_version_is_still_used(build, names, pets):
    build(shots=2, seed=3)
    (stored,) = (pets / "split_fewshot").glob("shot_2-seed_3-*.json")
    content = json.loads(stored.read_text())
    del content["dataset"]
    content["train"][0][0] = other = "Abyssinian_17.jpg"
    stored.write_text(json.dumps(content))
    assert names(build(shots=2, seed=3).train_x)[0] == other


def test_another_seed_and_another_root_train_on_the_same_images(shots_file, load, build, names, pets, tmp_path):
    wanted = build(shots=2, seed=3)
    shutil.move(pets.parent, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "elsewhere" / "oxford_pets" / "split_fewshot", ignore_errors=True)
    loaded = load(shots_file, shots=2, seed=1, root=tmp_path / "elsewhere")
    assert names(loaded.train_x) == names(wanted.train_x) and names(loaded.val) == names(wanted.val)
    assert names(loaded.train_x) != names(build(shots=2, seed=1, root=tmp_path / "elsewhere").train_x)


@pytest.mark.parametrize("kept", [False, True])
def test_the_random_stream_goes_on_as_without_the_file(shots_file, load, build, kept):
    if kept:
        build(shots=2, seed=1)
    build(shots=2, seed=1)
    without = random.random()
    load(shots_file, shots=2, seed=1)
    assert random.random() == without


@pytest.mark.parametrize("classes", ["base", "new"])
def test_base_and_new_classes_of_the_file(shots_file, load, build, names, classes):
    loaded, drawn = load(shots_file, shots=2, seed=1, classes=classes), build(shots=2, seed=3, classes=classes)
    assert names(loaded.train_x) == names(drawn.train_x) and loaded.num_classes == 5


def test_imagenet_keeps_its_validation_list(load, build, names, tmp_path):
    root = tmp_path / "big"
    REPLICAS["ImageNet"](root)
    path = tmp_path / "imagenet.json"
    assert main(["shots", "ImageNet", "--shots", "1", "--seed", "2", "--root", str(root), "--output", str(path)]) == 0
    assert json.loads(path.read_text())["val"] == []
    loaded = load(path, name="ImageNet", shots=1, root=root)
    assert names(loaded.train_x) == names(build(name="ImageNet", shots=1, seed=2, root=root).train_x)
    assert names(loaded.val) == names(loaded.test)


def lacks(key):
    return lambda content: content.pop(key)


def entry(part, value):
    return lambda content: content[part].__setitem__(0, value)


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda c: c.update(dataset="Food101"), 'for the dataset "Food101", not for OxfordPets'),
        (lambda c: c.update(num_shots=4), "has 4 shots, DATASET.NUM_SHOTS is 2"),
        *((lacks(key), f"lacks the key '{key}'") for key in ("dataset", "num_shots", "train", "val")),
        (lambda c: c.update(train={}), "has a 'train' that is not a list"),
        (entry("train", ["a.jpg", 0]), "not [path, label, class name]"),
        (entry("val", ["../a.jpg", 0, "abyssinian"]), "which is not a relative path inside"),
        (entry("val", ["/a.jpg", 0, "abyssinian"]), "which is not a relative path inside"),
        (
            entry("train", ["none.jpg", 0, "abyssinian"]),
            "(abyssinian, label 0), which is not in the train list",
        ),
        (lambda c: c["train"].append(c["train"][0]), "twice in 'train'"),
        (lambda c: c.update(train=c["train"][2:]), "no training image of class 'abyssinian'"),
        (lambda c: c.update(num_shots=2, train=c["train"] + MORE), "has 3 training images of label 0, not 2"),
    ],
)
def test_a_wrong_file_is_one_line(shots_file, load, user_error, pets, change, says):
    content = json.loads(shots_file.read_text())
    there = {row[0] for row in content["train"]}
    split = json.loads((pets / "split_zhou_OxfordPets.json").read_text())
    MORE[:] = [next(row for row in split["train"] if row[1] == 0 and row[0] not in there)]
    change(content)
    shots_file.write_text(json.dumps(content))
    user_error(lambda: load(shots_file, shots=2), str(shots_file), says)


MORE: list = []  # one more image of class 0


def test_no_file_no_json_no_shots(shots_file, load, user_error, tmp_path):
    user_error(lambda: load(tmp_path / "none.json", shots=2), "none.json cannot be read")
    user_error(lambda: load(shots_file), "needs DATASET.NUM_SHOTS", "-1")
    shots_file.write_text("{")
    user_error(lambda: load(shots_file, shots=2), "is not JSON")
