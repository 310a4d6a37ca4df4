"""tools/data.py check and shots, on replicas of the raw releases."""

import json

import pytest
from PIL import Image

from tests.datasets.replicas import REPLICAS
from tools.data import main
from tools.datafiles import state
from tools.datafiles.catalogue import CATALOGUE, reader

HERE = sorted(set(REPLICAS) & set(CATALOGUE))


@pytest.fixture
def pets(tmp_path, monkeypatch):
    REPLICAS["OxfordPets"](tmp_path)
    data = state.build("OxfordPets", str(tmp_path))
    for item in data.train_x + data.val + data.test:
        Image.new("RGB", (2, 2)).save(item.impath)
    facts = {"counts": [len(data.train_x), len(data.val), len(data.test)], "classes": data.num_classes}
    monkeypatch.setitem(CATALOGUE, "OxfordPets", {**CATALOGUE["OxfordPets"], **facts})
    return tmp_path, data


def test_ready_needs_the_published_counts(pets, capsys):
    root, data = pets
    assert main(["check", "OxfordPets", "--root", str(root), "--deep"]) == 0
    out = capsys.readouterr().out
    assert "ready" in out and "made here" in out and data.split_sha256[:12] in out
    assert not list((root / "oxford_pets").glob("split_*"))  # a check writes no split


def test_damaged_image_is_named(pets, capsys):
    root, data = pets
    with open(data.test[0].impath, "wb") as file:
        file.write(b"no image")
    assert main(["check", "OxfordPets", "--root", str(root), "--deep"]) == 1
    assert f"unreadable: {data.test[0].impath}" in capsys.readouterr().out


@pytest.mark.parametrize("name", HERE)
def test_replica_is_partial_and_nothing_is_absent(name, tmp_path):
    assert state.examine(name, str(tmp_path)).status == "absent"
    REPLICAS[name](tmp_path)
    found = state.examine(name, str(tmp_path))
    assert found.status == "partial" and found.counts and "images" in " ".join(found.missing)


def test_shots_are_relative_and_repeatable(pets, capsys):
    root, data = pets
    files = [root / "a.json", root / "b.json"]
    for file in files:
        args = ["shots", "OxfordPets", "--shots", "1", "--seed", "3", "--root", str(root), "--output", str(file)]
        assert main(args) == 0
    first, second = (json.loads(file.read_text()) for file in files)
    assert first == second and first["seed"] == 3 and len(first["train"]) == data.num_classes
    assert str(root) not in files[0].read_text()
    assert not list((root / "oxford_pets").glob("split_*.json"))  # an export writes no split


def test_unknown_name(tmp_path, capsys):
    assert main(["check", "Cats", "--root", str(tmp_path)]) == 2
    assert "Unknown dataset 'Cats'" in capsys.readouterr().err
    assert main(["check", "OxfordPet", "--root", str(tmp_path)]) == 2
    assert "Did you mean 'OxfordPets'? Known: " in capsys.readouterr().err
    assert reader("OxfordPets").dataset_dir == "oxford_pets"
