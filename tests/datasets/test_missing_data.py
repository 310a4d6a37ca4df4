"""Missing folders: one line that says which folder is expected and what to do. And the package as a whole."""

import shutil

import pytest
from dassl.config import get_cfg_default

import datasets


def test_missing_root(build, user_error, tmp_path):
    user_error(build, f"Data root {tmp_path / 'nowhere'} does not exist", "--root", root=tmp_path / "nowhere")


def test_missing_dataset_folder(build, user_error, tmp_path):
    user_error(build, f"expects the folder {tmp_path / 'oxford_pets'}", "images.tar.gz", root=tmp_path)


def test_empty_root(build, user_error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    user_error(build, "DATASET.ROOT is empty", "--root", root="")


def test_empty_root_is_the_current_folder(pets, build, monkeypatch):
    monkeypatch.chdir(pets.parent)
    assert build(root="").num_classes == 10


def test_missing_image_folder(pets, build, user_error):
    shutil.rmtree(pets / "images")
    user_error(build, f"Image folder {pets / 'images'} not found", "images.tar.gz")


def test_home_in_the_root_is_expanded(pets, build, monkeypatch):
    monkeypatch.setenv("HOME", str(pets.parent))
    assert build(root="~").dataset_dir == str(pets)


def test_add_config_keeps_a_value_that_is_there():
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    assert cfg.DATASET.SUBSAMPLE_CLASSES == "all"
    cfg.DATASET.SUBSAMPLE_CLASSES = "new"
    datasets.add_config(cfg)
    assert cfg.DATASET.SUBSAMPLE_CLASSES == "new"


def test_a_config_without_the_key_means_all_classes(pets, build, make_cfg):
    from datasets.oxford_pets import OxfordPets

    cfg = make_cfg()
    del cfg.DATASET["SUBSAMPLE_CLASSES"]
    assert OxfordPets(cfg).num_classes == 10


def test_a_reader_that_cannot_be_imported_is_named(tmp_path, monkeypatch, user_error):
    (tmp_path / "broken_reader.py").write_text("x = 1\nimport no_such_module\n")
    monkeypatch.setattr(datasets, "__path__", [str(tmp_path)])
    user_error(datasets._import_readers, "datasets.broken_reader", "no_such_module", "line 2", "broken_reader.py")


def test_every_reader_says_what_zero_shot_needs():
    from dassl.data.datasets import DATASET_REGISTRY

    from clip_prompts.data import BenchmarkDataset

    readers = [DATASET_REGISTRY.get(name) for name in DATASET_REGISTRY.registered_names()]
    ours = [reader for reader in readers if reader.__module__.startswith("datasets.")]
    assert {"OxfordPets", "Digits"} <= {reader.__name__ for reader in ours}
    for reader in ours:
        assert issubclass(reader, BenchmarkDataset)
        assert reader.template.count("{}") == 1
        assert reader.dataset_dir


@pytest.mark.parametrize("classes", ["al", "NEW", ""])
def test_bad_class_selection(pets, build, user_error, classes):
    user_error(build, "DATASET.SUBSAMPLE_CLASSES", "Known: all, base, new", classes=classes)
