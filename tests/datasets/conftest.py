"""A dataset in the layout of OxfordPets: 10 classes of 24 + 6 + 20 images (empty files: no test here opens one)."""

import json
import random

import pytest
from dassl.config import get_cfg_default

import datasets

BREEDS = [
    "Abyssinian", "american_bulldog", "Bengal", "beagle", "Egyptian_Mau",
    "great_pyrenees", "Sphynx", "wheaten_terrier", "yorkshire_terrier", "Ragdoll",
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's real cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clip-prompt-toolbox"


@pytest.fixture
def pets(tmp_path):
    """The dataset folder ``<root>/oxford_pets`` with split file and annotations."""
    folder = tmp_path / "root" / "oxford_pets"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    split = {"train": [], "val": [], "test": []}
    lines = {"trainval": [], "test": []}
    for label, breed in enumerate(BREEDS):
        for i in range(50):
            name = f"{breed}_{i + 1}"
            (folder / "images" / f"{name}.jpg").touch()
            lines["trainval" if i < 30 else "test"].append(f"{name} {label + 1} 1 1")
            split["train" if i < 24 else "val" if i < 30 else "test"].append([f"{name}.jpg", label, breed.lower()])
    for name, content in lines.items():
        (folder / "annotations" / f"{name}.txt").write_text("\n".join(content) + "\n")
    (folder / "split_zhou_OxfordPets.json").write_text(json.dumps(split))
    return folder


@pytest.fixture
def edit_split(pets):
    """Change the split file: ``edit_split(change)`` with ``change(split)`` in place."""

    def edit(change):
        path = pets / "split_zhou_OxfordPets.json"
        split = json.loads(path.read_text())
        change(split)
        path.write_text(json.dumps(split))

    return edit


@pytest.fixture
def make_cfg(tmp_path):
    """``make_cfg(shots=-1, seed=1, classes="all", root=...)``"""

    def make(name="OxfordPets", shots=-1, seed=1, classes="all", root=tmp_path / "root"):
        cfg = get_cfg_default()
        datasets.add_config(cfg)
        cfg.DATASET.NAME = name
        cfg.DATASET.ROOT = str(root)
        cfg.DATASET.NUM_SHOTS = shots
        cfg.DATASET.SUBSAMPLE_CLASSES = classes
        cfg.SEED = seed
        return cfg

    return make


@pytest.fixture
def build(make_cfg):
    """Build a dataset as a run does: seed Python's generator, then construct. Same arguments as ``make_cfg``."""
    from dassl.data.datasets import build_dataset

    def make(**kwargs):
        cfg = make_cfg(**kwargs)
        if cfg.SEED >= 0:
            random.seed(cfg.SEED)
        return build_dataset(cfg)

    return make


def names(items):
    return [item.impath.replace("\\", "/").rsplit("/", 1)[1] for item in items]


@pytest.fixture(name="names")
def names_fixture():
    """File names of a list of Datum."""
    return names


@pytest.fixture
def user_error():
    """``user_error(call, *parts, **kwargs)``: the call fails with one clear line that contains the parts."""
    from clip_prompts.common.errors import UserError

    def check(call, *parts, **kwargs):
        with pytest.raises(UserError) as caught:
            call(**kwargs)
        line = str(caught.value)
        assert "\n" not in line
        for part in parts:
            assert part in line

    return check


@pytest.fixture
def folder(tmp_path):
    """An empty folder for the user's own pictures."""
    path = tmp_path / "pictures"
    path.mkdir()
    return path


@pytest.fixture
def load(make_cfg, folder):
    """Build ImageFolder on ``folder``; further keys of DATASET as keywords, keys of TEST in ``test``."""
    from dassl.data.datasets import build_dataset

    def call(shots=-1, seed=1, classes="all", root=folder, test=(), trainer="", **keys):
        cfg = make_cfg(name="ImageFolder", shots=shots, seed=seed, classes=classes, root=root)
        cfg.DATASET.update(keys)
        cfg.TEST.update(test)
        cfg.TRAINER.NAME = trainer
        random.seed(seed)
        return build_dataset(cfg)

    return call
