"""A record says what happened; a setting that has no effect is refused or named."""

import json

import pytest

from tests.kinds.runs import PLUGIN, own_pictures, records

pytestmark = pytest.mark.integration


def test_shots_that_a_dataset_ignores_are_refused(run, plugin):
    flags = plugin(PLUGIN)
    assert run("CoOp", *flags, "DATASET.NAME", "IgnoresShots", DATASET__NUM_SHOTS=2) == 2
    assert "DATASET.NUM_SHOTS 2 has no effect" in run.err and not (run.out / "results.json").exists()
    assert run("CoOp", *flags, "DATASET.NAME", "IgnoresShots", DATASET__NUM_SHOTS=-1, out="all") == 0
    record = records(run.out)[-1]
    assert record["shots"] == -1 and record["images_trained_on"] == {"total": 240, "fewest": 24, "most": 24}


@pytest.mark.parametrize("flags", [[], ["--eval-only"]], ids=["train", "evaluate"])
def test_classes_that_a_dataset_does_not_select_are_refused(run, plugin, flags):
    opts = [*plugin(PLUGIN), *flags, "DATASET.NAME", "IgnoresShots"]
    settings = {"DATASET__NUM_SHOTS": -1, "DATASET__SUBSAMPLE_CLASSES": "base"}
    assert run("ZeroshotCLIP", *opts, **settings) == 2 and not (run.out / "results.json").exists()
    assert "DATASET.SUBSAMPLE_CLASSES base has no effect: IgnoresShots has 10 classes" in run.err


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"TRAINER__COOP__N_CTX": 4}, [{"name": "prompt_learner.ctx", "shape": [4, 64], "class_specific": False}]),
        (
            {"TRAINER__COOP__N_CTX": 4, "TRAINER__COOP__CSC": True},
            [{"name": "prompt_learner.ctx", "shape": [10, 4, 64], "class_specific": True}],
        ),
    ],
    ids=["shared", "class-specific"],
)
def test_the_record_says_what_was_learned(run, settings, expected):
    assert run("CoOp", **settings) == 0
    record = records(run.out)[-1]
    assert record["parameters"] == expected and record["schedule"].startswith("sgd, cosine from 0.002 over 1 epochs")


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_record_says_how_its_model_was_selected(run, split):
    """The best epoch is the first: every later one has learned at an absurd rate."""
    settings = {"TEST__FINAL_MODEL": "best_val", "OPTIM__MAX_EPOCH": 3, "OPTIM__LR": 0.5, "TEST__SPLIT": split}
    assert run("CoOp", **settings) == 0
    *each, last = records(run.out)
    assert [(r["selection"], r["epochs"]["run"]) for r in each] == [
        ("epoch 1 of 3", 1), ("epoch 2 of 3", 2), ("last epoch", 3),
    ]  # fmt: skip
    assert (last["split"], last["epoch"]) == (split, None)
    assert last["selection"] == "best epoch on the validation set"
    assert last["weights"][0]["epoch"] == last["epochs"]["run"]


def test_more_shots_than_there_are_images_are_said(run):
    assert run("CoOp", DATASET__NUM_SHOTS=500) == 0
    most = records(run.out)[-1]["images_trained_on"]["most"]
    assert f"no class has 500 training images; up to {most} per class are used" in run.stdout


def test_what_a_run_has_read_outside_of_the_data_is_listed(run, tmp_path):
    """A list of own pictures may lie anywhere, and so may the selection of shots."""
    own, _ = own_pictures(tmp_path)
    files = [(p.relative_to(own), p.parent.name) for p in sorted(own.rglob("*.*")) if p.suffix != ".json"]
    table = tmp_path / "list.csv"
    rows = [f"{path},{name},{path.parts[0]}" for path, name in files]
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    root = ["--root", str(own)]
    assert run("CoOp", *root, dataset="image_folder", DATASET__LIST_FILE=table) == 0, run.err
    listed = json.loads((run.out / "sources.json").read_text())["files"]
    assert str(table) in listed and any("split_fewshot" in file for file in listed)
