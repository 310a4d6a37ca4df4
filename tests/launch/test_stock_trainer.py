"""A trainer that knows nothing of this repository runs on its launcher, datasets and records."""

import json

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_stock_trainer(run, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("OPTIM:\n  NAME: sgd\n  LR: 0.01\nMODEL:\n  BACKBONE:\n    PRETRAINED: False\n")
    plugin = ["--plugin", str(ROOT / "tests/examples/stock_trainer.py"), "--backbone", "resnet18"]
    settings = {"OPTIM__MAX_EPOCH": 2, "DATALOADER__TRAIN_X__BATCH_SIZE": 10, "TRAIN__CHECKPOINT_FREQ": 1}
    settings["TEST__SAVE_PREDICTIONS"] = True
    assert run("Supervised", *plugin, config=config, **settings) == 0
    trained = json.loads((run.out / "results.json").read_text())[-1]
    assert trained["images"] == 200 and trained["epoch"] == 2
    assert trained["metrics"]["ece"] >= 0 and trained["metrics"]["nll"] > 0 and trained["counts"]["total"] == 200
    assert [p["epoch"] for p in trained["curve"]] == [1, 2] and trained["learned"] > 1_000_000
    assert trained["precision"] is None and trained["protocol"] == "few_shot"
    assert len((run.out / "predictions.csv").read_text().splitlines()) == 201

    flags = ["--eval-only", "--model-dir", str(run.out), "--load-epoch", "2"]
    assert run("Supervised", *plugin, *flags, out="eval", config=config, **settings) == 0
    assert json.loads((run.out / "results.json").read_text())[-1]["metrics"] == trained["metrics"]

    assert run("Supervised", *plugin, *flags[:-1], "7", out="eval", config=config, **settings) == 2
    assert "1, 2" in run.err


@pytest.mark.parametrize("name", ["own_loop", "own_test"])
def test_records_of_a_trainer_with_its_own_loop(name, run, tmp_path):
    """Such loops call no observers. The records are complete all the same."""
    config = tmp_path / "config.yaml"
    config.write_text("OPTIM:\n  NAME: sgd\n  LR: 0.01\nMODEL:\n  BACKBONE:\n    PRETRAINED: False\n")
    plugin = ["--plugin", f"tests.engine.styles.{name}", "--backbone", "resnet18"]
    settings = {"OPTIM__MAX_EPOCH": 2, "DATALOADER__TRAIN_X__BATCH_SIZE": 10, "TEST__SAVE_PREDICTIONS": True}
    trainer = {"own_loop": "StyleOwnLoop", "own_test": "StyleOwnTest"}[name]
    assert run(trainer, *plugin, config=config, **settings) == 0
    (record,) = json.loads((run.out / "results.json").read_text())
    assert record["images"] == record["counts"]["total"] == 200 and record["epoch"] == 2 and record["split"] == "test"
    assert record["metrics"]["ece"] >= 0 and record["metrics"]["macro_f1"] > 0 and record["train_seconds"] > 0
    assert record["cost"]["step_seconds"] > 0 and record["cost"]["train_images_per_second"] > 0
    assert [(p["epoch"], p["loss"] > 0) for p in record["curve"]] == [(1, True), (2, True)]
    assert len((run.out / "predictions.csv").read_text().splitlines()) == 201
