"""tools/data.py check and shots, on replicas of the raw releases."""

import json
import random

import pytest
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, build_dataset
from PIL import Image

import datasets
from datafiles import state
from datafiles.catalogue import CATALOGUE, benchmark_names, reader
from tests.datasets.replicas import REPLICAS, write_split
from tests.tools.releases import counts_of
from tools.data import main

SPLIT = "split_zhou_OxfordPets.json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """The root, and the dataset; its counts are the published ones."""
    root = tmp_path / "root"
    REPLICAS["OxfordPets"](root)
    data = state.build("OxfordPets", str(root))
    for item in data.train_x + data.val + data.test:
        Image.new("RGB", (2, 2)).save(item.impath)
    monkeypatch.setitem(CATALOGUE, "OxfordPets", dict(CATALOGUE["OxfordPets"]))
    counts_of(root, "OxfordPets", monkeypatch)
    return root, data


def run(name, root, shots=-1):
    """Build a dataset as a run does, which may write into its folder."""
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    cfg.SEED, cfg.DATASET.NAME, cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS = 1, name, str(root), shots
    random.seed(1)
    return build_dataset(cfg)


def files(root):
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


def cells(out, name):
    (line,) = [line for line in out.splitlines() if line.startswith(f"| {name} ")]
    return dict(zip(state.HEAD, [cell.strip() for cell in line.strip("|").split("|")], strict=True))


def check(capsys, root, *names):
    """Exit status, and the row of the first name."""
    capsys.readouterr()
    status = main(["check", *names, "--root", str(root)])
    return status, cells(capsys.readouterr().out, names[0])


def test_ready_needs_the_published_counts(pets, capsys):
    root, data = pets
    assert main(["check", "OxfordPets", "--root", str(root), "--deep"]) == 0
    row = cells(capsys.readouterr().out, "OxfordPets")
    assert (row["state"], row["unreadable"]) == ("ready", "0")
    assert (row["train"], row["val"], row["test"], row["classes"]) == ("24/24", "6/6", "15/15", "3/3")
    assert row["sha256"] == data.split_sha256[:12]
    CATALOGUE["OxfordPets"]["counts"] = [24, 6, 16]
    assert main(["check", "OxfordPets", "--root", str(root)]) == 1
    assert "OxfordPets: test: 15 of 16 images" in capsys.readouterr().out


def test_which_split_is_used(pets, capsys):
    """The released file, the one that a run of ours wrote, none, and a file of other counts."""
    root, data = pets
    path = root / "oxford_pets" / SPLIT
    assert check(capsys, root, "OxfordPets")[1]["split"] == "made here"
    run("OxfordPets", root)
    written = json.loads(path.read_text())
    assert {"train", "val", "test"} < set(written) and len(written["train"]) == len(data.train_x)
    assert check(capsys, root, "OxfordPets")[1]["split"] == "made here"
    del written["made_by"]
    path.write_text(json.dumps(written))
    assert check(capsys, root, "OxfordPets") == (0, cells_of_ready(data, "released"))
    written["test"].pop()
    path.write_text(json.dumps(written))
    status, row = check(capsys, root, "OxfordPets")
    assert (status, row["state"], row["split"]) == (1, "partial", "other")


def cells_of_ready(data, split):
    counts = [f"{n}/{n}" for n in (len(data.train_x), len(data.val), len(data.test), data.num_classes)]
    return dict(zip(state.HEAD, ["OxfordPets", "ready", *counts, "-", split, data.split_sha256[:12]], strict=True))


def test_a_split_made_here_is_said_in_a_note(pets, capsys):
    root, _ = pets
    assert main(["check", "OxfordPets", "--root", str(root)]) == 0
    assert (
        f"OxfordPets: note: the split is made by the published rule; published numbers use the released one, {SPLIT}"
        in (capsys.readouterr().out)
    )


def test_damaged_image_is_named(pets, capsys):
    root, data = pets
    with open(data.test[0].impath, "wb") as file:
        file.write(b"no image")
    assert main(["check", "OxfordPets", "--root", str(root)]) == 0
    assert main(["check", "OxfordPets", "--root", str(root), "--deep"]) == 1
    assert f"unreadable: {data.test[0].impath}" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_replica_is_partial_and_nothing_is_absent(name, tmp_path):
    assert state.examine(name, str(tmp_path)).status == "absent"
    REPLICAS[name](tmp_path)
    found = state.examine(name, str(tmp_path))
    assert found.status == "partial" and found.counts and "images" in " ".join(found.missing)


def test_a_partial_folder_lists_all_that_is_not_there(pets, capsys):
    root, _ = pets
    (root / "oxford_pets" / "annotations" / "test.txt").unlink()
    (root / "oxford_pets" / "annotations" / "trainval.txt").unlink()
    (root / "oxford_pets" / "annotations").rmdir()
    assert main(["check", "OxfordPets", "--root", str(root)]) == 1
    out = capsys.readouterr().out
    assert cells(out, "OxfordPets")["state"] == "partial"
    assert f"OxfordPets: not there: {root / 'oxford_pets' / 'annotations'}\n" in out
    assert f"OxfordPets: not there: {root / 'oxford_pets' / SPLIT} (the released split)\n" in out
    assert "images\n" not in out


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_looking_writes_nothing(name, tmp_path, capsys):
    root = tmp_path / "root"
    REPLICAS[name](root)
    before = files(root)
    main(["check", name, "--root", str(root)])
    if not reader(name).test_only:
        out = str(tmp_path / "shots.json")
        assert main(["shots", name, "--shots", "1", "--seed", "3", "--root", str(root), "--output", out]) == 0
    assert files(root) == before


def test_test_only_sets_have_no_training_images(tmp_path, capsys):
    replica = REPLICAS["ImageNetA"](tmp_path)
    row = check(capsys, tmp_path, "ImageNetA")[1]
    assert (row["train"], row["val"], row["test"]) == ("0/-", "0/0", f"{len(replica.rows)}/7500")


def test_without_names_all_but_the_users_own_are_listed(tmp_path, capsys, monkeypatch):
    asked = []

    def examine(name, root, deep):
        asked.append(name)
        return state.State(name, "ready")

    monkeypatch.setattr(state, "examine", examine)
    assert main(["check", "--root", str(tmp_path)]) == 0
    ours = [n for n in DATASET_REGISTRY.registered_names() if reader(n).__module__.startswith("datasets.")]
    assert {name for name in asked if reader(name).__module__.startswith("datasets.")} == set(ours) - {"ImageFolder"}
    assert asked[:15] == list(CATALOGUE) and {"Digits", "Shapes"} < set(benchmark_names()[15:])
    monkeypatch.setattr(state, "examine", lambda name, *_: state.State(name, "absent" if name == "SUN397" else "ready"))
    assert main(["check", "--root", str(tmp_path)]) == 1


@pytest.mark.integration
def test_embedded_datasets_are_ready_where_a_run_would_find_them(tmp_path, capsys, own_cache):
    root = tmp_path / "root"
    status, row = check(capsys, root, "Digits")
    assert (status, row["state"], row["split"], row["train"], row["classes"]) == (
        0,
        "ready",
        "generated",
        "898/-",
        "10/-",
    )
    assert not root.exists()
    (root / "digits").mkdir(parents=True)
    (root / "digits" / "mine.txt").touch()
    assert check(capsys, root, "Digits")[1]["state"] == "partial"  # a run would not touch it either
    (root / "digits" / "mine.txt").unlink()
    run("Digits", root)
    (own_cache / "clip-prompt-toolbox").rename(own_cache / "elsewhere")
    assert check(capsys, root, "Digits")[0] == 0
    assert not (own_cache / "clip-prompt-toolbox").exists()  # those below the root were read


def test_a_hash_of_digits_stays_text(capsys):
    state.print_states([state.State("OxfordPets", "ready", sha256="12345678e123")])
    assert cells(capsys.readouterr().out, "OxfordPets")["sha256"] == "12345678e123"


def export(root, path, seed=3, shots=1):
    return main(["shots", "OxfordPets", "--shots", str(shots), "--seed", str(seed), "--root", str(root),
                 "--output", str(path)])  # fmt: skip


def test_shots_are_relative_and_repeatable(pets, tmp_path):
    root, data = pets
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    assert [export(root, path) for path in paths] == [0, 0]
    first, second = (json.loads(path.read_text()) for path in paths)
    assert first == second and first["seed"] == 3 and len(first["train"]) == data.num_classes
    assert str(root) not in paths[0].read_text()


def test_shots_that_a_run_keeps_are_those_exported(pets, tmp_path):
    root, _ = pets
    write_split(root / "oxford_pets" / SPLIT, REPLICAS["OxfordPets"](root))
    run("OxfordPets", root, shots=2)
    (kept,) = (root / "oxford_pets" / "split_fewshot").iterdir()
    content = json.loads(kept.read_text())
    content["train"].reverse()
    kept.write_text(json.dumps(content))
    assert export(root, tmp_path / "a.json", seed=1, shots=2) == 0
    assert json.loads((tmp_path / "a.json").read_text())["train"] == content["train"]


@pytest.mark.parametrize("shots, seed, says", [(0, 1, "--shots 0"), (1, -1, "--seed -1")])
def test_bad_numbers_of_shots(pets, tmp_path, capsys, shots, seed, says):
    assert export(pets[0], tmp_path / "a.json", seed, shots) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"Error: {says}: ") and err.count("\n") == 1


def test_unknown_name(tmp_path, capsys):
    assert main(["check", "Food101", "Cats", "--root", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "Unknown dataset 'Cats'" in err and not out
    assert main(["check", "OxfordPet", "--root", str(tmp_path)]) == 2
    assert "Did you mean 'OxfordPets'? Known: " in capsys.readouterr().err
