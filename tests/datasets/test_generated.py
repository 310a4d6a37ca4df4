"""Datasets that make their own pictures: Digits, and the machinery under it."""

import json
import random
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from clip_prompts.data import GeneratedDataset


@pytest.fixture(scope="session")
def digits_once(tmp_path_factory):
    """The pictures, made once for all tests of this file."""
    from datasets.digits import Digits

    folder = tmp_path_factory.mktemp("digits")
    return folder, Digits.generate(None, folder)


def test_digits_are_scikit_learns_pixels(digits_once):
    from sklearn.datasets import load_digits

    folder, parts = digits_once
    digits = load_digits()
    rows = [row for part in parts.values() for row in part]
    assert len(rows) == len({row[0] for row in rows}) == 1797
    for name, label, classname in rows[::50]:
        index = int(name.split("_")[1].removesuffix(".png"))
        image = Image.open(folder / name)
        assert image.mode == "L" and image.size == (8, 8)
        assert (np.asarray(image) == np.round(digits.images[index] * 255 / 16)).all()
        assert digits.target[index] == label
        assert classname == name.split("_")[0]


def test_digits_split(digits_once):
    _, parts = digits_once
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 898, "val": 359, "test": 540}
    for rows in parts.values():
        assert list(dict.fromkeys(row[2] for row in rows)) == [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
        ]  # fmt: skip
    counts = Counter(row[1] for row in parts["val"])
    assert max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.integration
def test_digits_base_to_new_from_an_empty_root(build, own_cache):
    state = random.getstate()
    base = build(name="Digits", shots=16, classes="base", root="", seed=-1)
    assert base.classnames == ["zero", "one", "two", "three", "four"]
    assert (len(base.train_x), len(base.val)) == (80, 20)
    assert base.dataset_dir == str(own_cache / "datasets" / "digits")
    assert state != random.getstate()  # only by the shots


class Stripes(GeneratedDataset):
    dataset_dir = "stripes"
    split_file = "split_Stripes.json"
    calls = 0

    def generate(self, folder):
        type(self).calls += 1
        rows = []
        for label, name in enumerate(["red", "blue"]):
            (folder / name).mkdir()
            for i in range(4):
                (folder / name / f"{i}.png").touch()
                rows.append((f"{name}/{i}.png", label, name))
        return {"test": rows} if self.test_only else {"train": rows[::2], "val": rows[1::4], "test": rows[3::4]}


@pytest.fixture
def make(make_cfg, tmp_path):
    def build_one(reader=Stripes, root=tmp_path / "root", **kwargs):
        return reader(make_cfg(name="Stripes", root=root, **kwargs))

    Stripes.calls = 0
    return build_one


def test_made_once_below_the_root(make, tmp_path):
    first = make()
    assert first.dataset_dir == str(tmp_path / "root" / "stripes")
    again = make()
    assert Stripes.calls == 1
    assert [item.impath for item in again.train_x] == [item.impath for item in first.train_x]
    assert [p.name for p in (tmp_path / "root").iterdir()] == ["stripes"]  # nothing half-made is left


def test_a_run_that_makes_the_pictures_draws_the_same_shots_as_a_later_one(make, monkeypatch, tmp_path):
    """Packages that ``generate`` imports may draw from the global streams: scikit-learn does."""
    generate = Stripes.generate
    monkeypatch.setattr(Stripes, "generate", lambda self, folder: (random.random(), generate(self, folder))[1])
    drawn = []
    for _ in range(2):
        random.seed(1)
        make()
        drawn.append(random.random())
    assert drawn[0] == drawn[1] and Stripes.calls == 1


def test_a_new_version_replaces_the_old_folder(make, monkeypatch, tmp_path):
    make()
    (tmp_path / "root" / "stripes" / "old.txt").touch()
    monkeypatch.setattr(Stripes, "version", 2)
    make()
    assert Stripes.calls == 2
    assert not (tmp_path / "root" / "stripes" / "old.txt").exists()


def test_a_folder_of_the_users_own_is_not_replaced(make, tmp_path, user_error):
    (tmp_path / "root" / "stripes").mkdir(parents=True)
    (tmp_path / "root" / "stripes" / "mine.txt").touch()
    user_error(make, "stripes exists but does not belong to Stripes")
    assert (tmp_path / "root" / "stripes" / "mine.txt").exists()


def test_an_interrupted_run_leaves_nothing(make, monkeypatch, tmp_path):
    def broken(self, folder):
        (folder / "half.png").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Stripes, "generate", broken)
        with pytest.raises(KeyboardInterrupt):
            make()
    assert not any((tmp_path / "root").iterdir())
    assert len(make().train_x) == 4


def test_another_process_that_was_first_wins(make, tmp_path):
    """While one run makes its pictures, another one finishes the same folder."""
    finished = tmp_path / "root" / "stripes"

    class Slow(Stripes):
        def generate(self, folder):
            make()
            (finished / "first.txt").touch()
            return Stripes.generate(self, folder)

    Slow.__name__ = "Stripes"
    assert len(make(Slow).train_x) == 4
    assert (finished / "first.txt").exists()
    assert [p.name for p in (tmp_path / "root").iterdir()] == ["stripes"]


def test_a_root_that_cannot_be_written_uses_the_users_cache(make, tmp_path, own_cache, user_error):
    (tmp_path / "root").write_text("a file where the folder should be")
    assert make().dataset_dir == str(own_cache / "datasets" / "stripes")
    shutil.rmtree(own_cache)
    own_cache.write_text("and here too")
    user_error(make, "The pictures of Stripes cannot be written anywhere", "DATASET.ROOT")


def test_missing_pictures_say_how_to_get_them_again(make, tmp_path, user_error):
    make()
    (tmp_path / "root/stripes/images/red/0.png").unlink()
    user_error(make, "0.png", "Delete the folder")


def test_a_test_only_variant_trains_on_nothing_but_has_class_names(make):
    class Variant(Stripes):
        test_only = True

    dataset = make(Variant, shots=2)
    assert dataset.classnames == ["red", "blue"]
    assert [i.impath for i in dataset.train_x] == [i.impath for i in dataset.test]
    assert len(dataset.test) == 8 and not dataset.val
    assert make(Variant, classes="new").classnames == ["blue"]


def test_unknown_parts_are_a_programming_error(make, monkeypatch):
    monkeypatch.setattr(Stripes, "generate", lambda self, folder: {"trian": []})
    with pytest.raises(ValueError, match="trian"):
        make()


def test_the_marker_names_dataset_and_version(make, tmp_path):
    make()
    marker = json.loads((tmp_path / "root" / "stripes" / "generated.json").read_text())
    assert marker == {"dataset": "Stripes", "version": 1}
