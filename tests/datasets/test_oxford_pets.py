"""OxfordPets: split file or annotations, few-shot lists, base and new classes."""

import json
import random
from pathlib import Path

import pytest

REFERENCE = json.loads((Path(__file__).parent / "fewshot_reference.json").read_text())


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: f"seed{case['seed']}")
def test_few_shot_lists_are_those_of_the_reference_in_order(pets, build, names, case):
    dataset = build(shots=case["num_shots"], seed=case["seed"])
    assert names(dataset.train_x) == case["train"]
    assert names(dataset.val) == case["val"]
    assert len(dataset.test) == 200  # test is never subsampled


def test_a_kept_selection_gives_the_same_lists_and_the_same_generator_state(pets, build, names):
    first = build(shots=4)
    state = random.getstate()
    assert len(list((pets / "split_fewshot").iterdir())) == 1
    again = build(shots=4)
    assert random.getstate() == state
    assert names(again.train_x) == names(first.train_x)
    assert names(again.val) == names(first.val)


def test_base_and_new_share_the_shots_of_one_seed(pets, build, names):
    both = build(shots=2)
    base, new = build(shots=2, classes="base"), build(shots=2, classes="new")
    assert names(base.train_x) + names(new.train_x) == names(both.train_x)
    assert len(list((pets / "split_fewshot").iterdir())) == 1


def test_the_hash_of_the_selection_tells_what_is_used(pets, build):
    runs = [build(), build(classes="base"), build(shots=2), build(shots=2, classes="base"), build(shots=2, seed=2)]
    assert len({run.split_sha256 for run in runs}) == 1
    assert len({run.selection_sha256 for run in runs}) == len(runs)
    assert runs[0].selection_sha256 == runs[0].split_sha256


def test_base_and_new_halves(pets, build):
    base, new = build(classes="base"), build(classes="new")
    assert base.classnames == ["abyssinian", "american_bulldog", "bengal", "beagle", "egyptian_mau"]
    assert new.classnames == ["great_pyrenees", "sphynx", "wheaten_terrier", "yorkshire_terrier", "ragdoll"]
    for part in (new.train_x, new.val, new.test):
        assert {(item.label, item.classname) for item in part} == set(enumerate(new.classnames))


def test_full_lists(pets, build):
    dataset = build()
    assert (len(dataset.train_x), len(dataset.val), len(dataset.test)) == (240, 60, 200)
    assert dataset.num_classes == 10


@pytest.fixture
def raw_pets(pets):
    (pets / "split_zhou_OxfordPets.json").unlink()
    return pets


def test_annotations_give_a_split_that_is_saved_and_used_again(raw_pets, build, names):
    first = build()
    assert (len(first.train_x), len(first.val), len(first.test)) == (240, 60, 200)
    assert not set(names(first.train_x)) & set(names(first.val))
    assert {item.classname for item in first.val} == set(first.classnames)
    saved = json.loads((raw_pets / "split_zhou_OxfordPets.json").read_text())
    assert [row[0] for row in saved["train"]] == names(first.train_x)
    assert saved["test"][0] == ["Abyssinian_31.jpg", 0, "abyssinian"]
    (raw_pets / "annotations" / "trainval.txt").unlink()
    assert names(build().train_x) == names(first.train_x)


def test_the_run_that_makes_the_split_draws_the_shots_of_later_runs(raw_pets, build, names):
    first = build(shots=4, seed=3)
    for kept in (raw_pets / "split_fewshot").iterdir():
        kept.unlink()
    assert names(build(shots=4, seed=3).train_x) == names(first.train_x)


def test_the_split_does_not_depend_on_which_seed_runs_first(raw_pets, build, names):
    first = names(build(seed=3).train_x)
    (raw_pets / "split_zhou_OxfordPets.json").unlink()
    assert names(build(seed=5).train_x) == first


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Abyssinian_1 1 1", "line 1: 'Abyssinian_1 1 1' has 3 fields, not 4"),
        ("Abyssinian_1 zero 1 1", "'zero' is not a whole number from 1"),
        ("Abyssinian_1 0 1 1", "'0' is not a whole number from 1"),
        ("Nobody_1 1 1 1", "Nobody_1.jpg"),
    ],
)
def test_bad_annotations(raw_pets, build, user_error, line, message):
    (raw_pets / "annotations" / "trainval.txt").write_text(line + "\n")
    user_error(build, message)


def test_neither_split_nor_annotations(raw_pets, build, user_error):
    (raw_pets / "annotations" / "trainval.txt").unlink()
    user_error(build, "trainval.txt cannot be read")


def test_upstream_readers_find_their_helpers():
    """Readers written for upstream's CoOp call these as static methods of OxfordPets."""
    from datasets.oxford_pets import OxfordPets

    for name in ("read_split", "save_split", "split_trainval", "subsample_classes"):
        assert callable(getattr(OxfordPets, name))


def test_a_reader_in_upstreams_style(pets, make_cfg, names):
    """A third-party reader: subclasses DatasetBase and borrows the helpers, with upstream's arguments."""
    import os

    from dassl.data.datasets import DatasetBase

    from datasets.oxford_pets import OxfordPets

    class Mine(DatasetBase):
        def __init__(self, cfg):
            images = os.path.join(cfg.DATASET.ROOT, "oxford_pets", "images")
            split = str(pets / "split_zhou_OxfordPets.json")
            train, val, test = OxfordPets.read_split(split, images)
            train, val = OxfordPets.split_trainval(train + val, p_val=0.1)
            OxfordPets.save_split(train, val, test, str(pets / "mine.json"), images)
            subsample = cfg.DATASET.SUBSAMPLE_CLASSES
            train, val, test = OxfordPets.subsample_classes(train, val, test, subsample=subsample)
            super().__init__(train_x=train, val=val, test=test)

    random.seed(0)
    dataset = Mine(make_cfg(classes="base"))
    assert (len(dataset.train_x), len(dataset.val)) == (5 * 27, 5 * 3)
    assert len(json.loads((pets / "mine.json").read_text())["train"]) == 270
    random.seed(0)
    assert names(Mine(make_cfg(classes="base")).val) == names(dataset.val)  # the global generator, as upstream
