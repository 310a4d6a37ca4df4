"""Kept few-shot selections: found when they fit, named and replaced when they do not, safe to read."""

import json
import os
import pickle
import random
import shutil
import sys
import types
import warnings

import pytest

from clip_prompts.data.legacy_pickle import read_legacy


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="(The f|F)ew-shot selection")
        yield


@pytest.fixture
def write_legacy(pets, monkeypatch):
    """Write ``shot_2-seed_1.pkl`` as upstream does: pickled Datum objects with absolute paths of another machine."""
    module = types.ModuleType("dassl.data.datasets.base_dataset")

    class Datum:
        pass

    Datum.__module__, Datum.__qualname__ = module.__name__, "Datum"
    module.Datum = Datum

    def record(path, label, classname):
        item = Datum()
        item._impath, item._label, item._domain, item._classname = path, label, 0, classname
        return item

    def write(root="/somewhere/else/oxford_pets/images/", drop=0, content=None):
        split = json.loads((pets / "split_zhou_OxfordPets.json").read_text())
        if content is None:
            content = {}
            for part in ("train", "val"):
                last_two = [row for label in range(10) for row in [r for r in split[part] if r[1] == label][-2:]]
                content[part] = [record(root + path, label, name) for path, label, name in last_two[drop:]]
        (pets / "split_fewshot").mkdir(exist_ok=True)
        path = pets / "split_fewshot" / "shot_2-seed_1.pkl"
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module.__name__, module)
            path.write_bytes(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
        return path

    return write


def kept_file(pets):
    (path,) = (pets / "split_fewshot").glob("*.json")
    return path


def test_paths_are_relative_so_a_moved_root_keeps_its_shots(pets, build, names, tmp_path):
    first = build(shots=2)
    shutil.move(tmp_path / "root", tmp_path / "moved")
    content = json.loads((tmp_path / "moved/oxford_pets/split_fewshot").glob("*.json").__next__().read_text())
    assert content["train"][0][0] == names(first.train_x)[0]
    moved = build(shots=2, root=tmp_path / "moved")
    assert names(moved.train_x) == names(first.train_x)
    assert moved.selection_sha256 == first.selection_sha256


def test_a_kept_selection_is_what_is_used(pets, build, names):
    build(shots=1)
    path = kept_file(pets)
    content = json.loads(path.read_text())
    content["train"][0][0] = other = "Abyssinian_17.jpg"
    path.write_text(json.dumps(content))
    assert names(build(shots=1).train_x)[0] == other


def test_another_split_has_its_own_selection(pets, build, edit_split, names):
    first = build(shots=2)
    edit_split(lambda split: split["train"].reverse())
    second = build(shots=2)
    assert names(second.train_x) != names(first.train_x)
    assert second.split_sha256 != first.split_sha256
    assert len(list((pets / "split_fewshot").iterdir())) == 2


@pytest.mark.parametrize("damage", ["text", "key", "entry", "count", "double", "list"])
def test_a_damaged_selection_is_named_and_made_anew(pets, build, names, damage):
    first = build(shots=2)
    path = kept_file(pets)
    content = json.loads(path.read_text())
    if damage == "key":
        content["seed"] = 2
    elif damage == "entry":
        content["train"][0][0] = "../../etc/passwd"
    elif damage == "count":
        content["train"].pop()
    elif damage == "double":
        content["train"][1] = content["train"][0]
    elif damage == "list":
        content["val"] = None
    path.write_text(json.dumps(content) if damage != "text" else "{")
    with pytest.warns(UserWarning, match=path.name):
        again = build(shots=2)
    assert names(again.train_x) == names(first.train_x)
    assert names(build(shots=2).train_x) == names(first.train_x)  # no warning any more


def test_unseeded_runs_draw_anew_and_keep_nothing(pets, build, names):
    random.seed(1)  # for Python, the seeds 1 and -1 are one
    first = names(build(shots=2, seed=-1).train_x)
    assert names(build(shots=2, seed=-1).train_x) != first
    assert not (pets / "split_fewshot").exists()


def test_shots_drawn_from_another_state_are_not_kept_as_those_of_the_seed(pets, make_cfg):
    from dassl.data.datasets import build_dataset

    random.seed(1)
    random.random()
    build_dataset(make_cfg(shots=2, seed=1))
    assert not (pets / "split_fewshot").exists()


def test_a_folder_that_cannot_be_written_uses_the_users_cache(pets, build, names, own_cache, monkeypatch):
    refuse_writes_below(pets, monkeypatch)
    first = build(shots=2)
    (path,) = own_cache.glob("split_fewshot/OxfordPets-*/*.json")
    content = json.loads(path.read_text())
    content["train"][0][0] = other = "Abyssinian_17.jpg"
    path.write_text(json.dumps(content))
    again = build(shots=2)
    assert names(again.train_x)[0] == other
    assert names(again.train_x)[1:] == names(first.train_x)[1:]


def test_nowhere_to_write_is_a_warning(pets, build, own_cache, monkeypatch):
    refuse_writes_below(pets, monkeypatch)
    own_cache.parent.write_text("a file where the cache folder should be")
    with pytest.warns(UserWarning, match="not kept"):
        assert len(build(shots=2).train_x) == 20


def test_a_read_only_folder_makes_the_same_split_each_time(pets, build, names, monkeypatch):
    (pets / "split_zhou_OxfordPets.json").unlink()
    refuse_writes_below(pets, monkeypatch)
    assert names(build(shots=2).train_x) == names(build(shots=2).train_x)
    assert not (pets / "split_zhou_OxfordPets.json").exists()


def refuse_writes_below(folder, monkeypatch):
    """As a read-only mount does, and also for root, whom permissions do not stop."""
    from clip_prompts.common import files

    def replace(source, target):
        if str(target).startswith(str(folder)):
            raise OSError(30, "Read-only file system")
        return os_replace(source, target)

    os_replace = os.replace
    monkeypatch.setattr(files.os, "replace", replace)


@pytest.mark.parametrize("root", ["/somewhere/else/oxford_pets/images/", "D:\\data\\oxford_pets\\images\\", ""])
def test_shots_of_upstream_are_used_wherever_they_were_made(pets, build, names, write_legacy, root):
    write_legacy(root)
    dataset = build(shots=2)
    assert names(dataset.train_x)[:2] == ["Abyssinian_23.jpg", "Abyssinian_24.jpg"]
    assert names(dataset.val)[:2] == ["Abyssinian_29.jpg", "Abyssinian_30.jpg"]
    assert all(item.impath.startswith(str(pets)) for item in dataset.train_x)


def test_shots_of_upstream_come_before_own_ones(pets, build, names, write_legacy):
    build(shots=2)
    write_legacy()
    assert names(build(shots=2).train_x)[0] == "Abyssinian_23.jpg"


def test_our_own_datum_pickles_as_upstreams_does(pets, build, names, tmp_path):
    dataset = build(shots=2)
    path = tmp_path / "shots.pkl"
    path.write_bytes(pickle.dumps({"train": dataset.train_x, "val": dataset.val}, protocol=pickle.HIGHEST_PROTOCOL))
    first = dataset.train_x[0]
    assert read_legacy(str(path))["train"][0] == (first.impath, first.label, first.classname)


def test_shots_of_upstream_that_do_not_fit_are_named_and_drawn_anew(pets, build, write_legacy):
    path = write_legacy(drop=1)
    with pytest.warns(UserWarning, match=f"{path.name} is not used, it does not have 2 train images"):
        assert len(build(shots=2).train_x) == 20


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("content", [Payload(), {"train": [Payload()], "val": []}])
def test_a_pickle_that_names_code_is_refused_and_not_run(pets, build, write_legacy, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    write_legacy(content=content)
    with pytest.warns(UserWarning, match=r"it tries to import (posix|nt)\.mkdir"):
        build(shots=2)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [[], {"train": 3}, {"train": [1]}, {"train": [], "val": []}, None])
def test_a_pickle_of_something_else_is_named(pets, build, write_legacy, content):
    path = write_legacy(content=content if content is not None else {})
    with pytest.warns(UserWarning, match=path.name):
        assert len(build(shots=2).train_x) == 20
