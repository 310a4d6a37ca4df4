"""results.json: metrics in full precision, with what determines them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from clip_prompts.records.results_file import keep_record, read_records
from clip_prompts.records.schema import VARYING

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


def records(folder):
    return json.loads((folder / "results.json").read_text())


def lasting(folder):
    """Return the part of a record that is equal in two runs with the same settings."""
    return [{k: v for k, v in r.items() if k not in VARYING} for r in records(folder)]


def test_record_of_a_run(run):
    config = "configs/trainers/CoOp/vit_b16_ep50.yaml"
    assert run("CoOp", config=config, TRAINER__COOP__N_CTX=4, OPTIM__MAX_EPOCH=3) == 0
    (record,) = records(run.out)
    assert record["metrics"]["accuracy"] + record["metrics"]["error_rate"] == 100
    assert record["images"] == 200 and record["split"] == "test" and record["epoch"] == 3
    assert record["settings"]["TRAINER"]["COOP"]["N_CTX"] == 4
    assert record["settings"]["OPTIM"]["LR"] == 0.002
    assert record["versions"]["torch"] and record["versions"]["python"]
    log = (run.out / "log.txt").read_text()
    assert f"* accuracy: {record['metrics']['accuracy']:.1f}%" in log
    assert f"* macro_f1: {record['metrics']['macro_f1']:.1f}%" in log

    assert record["format"] == 2 and record["protocol"] == "few_shot" and record["config"] == "vit_b16_ep50"
    assert record["source"] is record["loaded"] is None
    assert record["precision"] == "fp32" and record["learned"] == 4 * 64
    assert set(record["metrics"]) == {"accuracy", "error_rate", "macro_f1", "ece", "nll"}
    assert record["counts"]["correct"] == record["metrics"]["accuracy"] * 2 and record["counts"]["total"] == 200
    assert [c["total"] for c in record["per_class"]] == [20] * 10 and record["per_class"][0]["name"] == "abyssinian"
    assert record["train_seconds"] > 0 and record["memory"]["process_mib"] > 100
    assert record["memory"]["cuda_mib"] is None or record["memory"]["cuda_mib"] > 0
    cost = record["cost"]
    steps, images = 3, 20  # of an epoch; two shots of ten classes
    assert 0 < steps * cost["step_seconds"] < record["train_seconds"] and cost["device"]
    assert cost["train_images_per_second"] == pytest.approx(images / cost["step_seconds"])
    assert cost["test_images_per_second"] == pytest.approx(200 / record["seconds"])
    assert [p["epoch"] for p in record["curve"]] == [1, 2, 3]
    assert [p["lr"] for p in record["curve"]] == pytest.approx([1e-5, 2e-3, 1.5e-3])  # warm-up, then the cosine
    assert all(p["loss"] > 0 and 0 <= p["acc"] <= 100 for p in record["curve"])


def test_hashes_follow_what_they_stand_for(run, small):
    hashes = {}
    for name, settings in {
        "one": {},
        "same": {},
        "seed": {"SEED": 2},
        "base": {"DATASET__SUBSAMPLE_CLASSES": "base"},
    }.items():
        assert run("ZeroshotCLIP", "--eval-only", out=name, **settings) == 0
        hashes[name] = records(run.out)[-1]["hashes"]
    one = hashes["one"]
    assert {**hashes["same"], "config": None} == {**one, "config": None}  # the output folder is part of the config
    assert hashes["seed"]["train_x"] != one["train_x"] and hashes["seed"]["test"] == one["test"]
    assert hashes["base"]["test"] != one["test"]
    assert len({h["backbone"] for h in hashes.values()}) == 1 and len(one["backbone"]) == 64


def test_best_on_validation_records_every_evaluation(run):
    assert run("CoOp", TEST__FINAL_MODEL="best_val", OPTIM__MAX_EPOCH=2) == 0
    found = records(run.out)
    assert [(r["split"], r["images"], r["epoch"]) for r in found] == [
        ("val", 20, 1),
        ("val", 20, 2),
        ("test", 200, None),
    ]
    assert [r["selection"] for r in found] == ["epoch 1 of 2", "last epoch", "best epoch on the validation set"]
    assert [len(r["curve"]) for r in found] == [0, 0, 2]
    assert all(0 <= r["metrics"]["ece"] <= 100 for r in found)
    assert [bool(r["per_class"]) for r in found] == [False, False, True]


@pytest.mark.parametrize("flags", [(), ("--resume",)], ids=("same folder", "--resume"))
def test_a_resumed_run_ends_with_the_same_list(run, flags, monkeypatch):
    """Killed in epoch 3, whose validation is not repeated by name but by epoch; the last start is after the end."""
    from trainers.coop import CoOp

    settings = {"OPTIM__MAX_EPOCH": 4, "TRAIN__CHECKPOINT_FREQ": 1, "TEST__FINAL_MODEL": "best_val"}
    assert run("CoOp", out="whole", **settings) == 0
    whole = lasting(run.out)
    save_model = CoOp.save_model

    def killed(self, epoch, *args, **kwargs):
        if epoch == 2:
            raise KeyboardInterrupt
        save_model(self, epoch, *args, **kwargs)

    monkeypatch.setattr(CoOp, "save_model", killed)
    assert run("CoOp", out="parts", **settings) == 130 and "Stopped by Ctrl-C" in run.err
    assert [r["epoch"] for r in records(run.out)] == [1, 2, 3]
    monkeypatch.undo()
    for _ in range(2):
        more = [*flags, str(run.out)] if flags else []
        assert run("CoOp", *more, out="parts", **settings) == 0
        parts = lasting(run.out)
        for own, other in zip(parts, whole, strict=True):
            assert own.pop("hashes") | {"config": 0} == other["hashes"] | {"config": 0}
            own["settings"] |= {"OUTPUT_DIR": other["settings"]["OUTPUT_DIR"], "RESUME": ""}
            assert own == {k: v for k, v in other.items() if k != "hashes"}


def test_an_evaluation_after_the_last_epoch_counts_for_that_epoch(run):
    assert run("CoOp", OPTIM__MAX_EPOCH=3) == 0
    expected = lasting(run.out)
    (run.out / "results.json").unlink()  # as if killed between the checkpoint and the test
    assert run("CoOp", OPTIM__MAX_EPOCH=3) == 0
    assert lasting(run.out) == expected and expected[0]["epoch"] == 3


def test_a_finished_run_that_is_tested_again_keeps_the_cost_of_its_training(run):
    training = ("step_seconds", "train_images_per_second")
    found = []
    for _ in range(2):
        assert run("CoOp", OPTIM__MAX_EPOCH=2) == 0
        found.append(records(run.out)[0]["cost"])
    assert found[0]["step_seconds"] > 0 and all(found[1][name] == found[0][name] for name in training)
    assert found[1]["test_images_per_second"] != found[0]["test_images_per_second"]
    flags = ["--eval-only", "--model-dir", str(run.out)]
    assert run("CoOp", *flags, out="evaluated", OPTIM__MAX_EPOCH=2) == 0, run.err
    assert [records(run.out)[0]["cost"][name] for name in training] == [None, None]


def test_what_a_loaded_model_was_learned_on(run):
    config = "configs/trainers/CoOp/vit_b16.yaml"
    assert run("CoOp", out="base", DATASET__SUBSAMPLE_CLASSES="base", config=config) == 0
    learned, own = records(run.out)[-1], run.out
    assert learned["protocol"] == "base2new"
    flags = ["--eval-only", "--model-dir", str(own)]
    shots = {"DATASET__NUM_SHOTS": -1}
    for subset, protocol in (("new", "base2new"), ("all", "base2new")):
        assert run("CoOp", *flags, out=subset, DATASET__SUBSAMPLE_CLASSES=subset, **shots) == 0
        (record,) = records(run.out)
        assert record["protocol"] == protocol and record["loaded"] == {"model_dir": str(own), "load_epoch": None}
        assert record["source"] == {
            "dataset": "OxfordPets", "label": "OxfordPets", "classes": "base", "shots": 2, "seed": 1,
            "config": "vit_b16", "recipe": learned["recipe"],
        }  # fmt: skip
        assert record["train_seconds"] is None and record["curve"] == [] and record["epoch"] is None
    assert run("CoOp", *flags, "--protocol", "mine", out="all", **shots) == 0  # another protocol: another record
    assert [r["protocol"] for r in records(run.out)] == ["base2new", "mine"]
    (own / "results.json").unlink()  # the checkpoint says it too
    assert run("CoOp", *flags, out="unknown", DATASET__SUBSAMPLE_CLASSES="new") == 0
    assert records(run.out)[0]["source"] == record["source"] and records(run.out)[0]["protocol"] == "base2new"


def test_a_protocol_that_is_no_label(run):
    assert run("CoOp", "--protocol", "few shot") == 2
    assert "'few shot' is not a valid label" in run.err and "few_shot" in run.err
    assert not run.out.exists()


def test_nothing_learned_is_zero_shot(run):
    assert run("ZeroshotCLIP") == 0
    (record,) = records(run.out)
    assert (record["protocol"], record["learned"], record["epoch"]) == ("zeroshot", 0, None)
    assert run("ZeroshotCLIP", "--eval-only", out="new", DATASET__SUBSAMPLE_CLASSES="new") == 0
    assert records(run.out)[0]["protocol"] == "base2new" and records(run.out)[0]["source"] is None


def test_predictions(run, small):
    assert run("ZeroshotCLIP", "--eval-only", TEST__SAVE_PREDICTIONS=True) == 0
    (record,) = records(run.out)
    with open(run.out / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "prediction", "probability", "label_index", "prediction_index"]
    assert record["image_dir"] == str(small / "oxford_pets/images")
    assert all((small / "oxford_pets/images" / row["path"]).is_file() for row in rows)
    assert len({row["path"] for row in rows}) == 200
    names = [c["name"] for c in record["per_class"]]
    for row in rows:
        assert row["label"] == names[int(row["label_index"])] == row["path"].rsplit("_", 1)[0].lower()
        assert row["prediction"] == names[int(row["prediction_index"])] and 0.1 <= float(row["probability"]) <= 1
    assert sum(row["label"] == row["prediction"] for row in rows) == record["counts"]["correct"]
    assert run("ZeroshotCLIP", "--eval-only", out="without") == 0
    assert not (run.out / "predictions.csv").exists() and "image_dir" not in records(run.out)[0]


def test_an_evaluator_that_resets_itself(run, monkeypatch):
    from dassl.evaluation import Classification

    evaluate = Classification.evaluate

    def evaluate_and_reset(self):
        found = evaluate(self)
        self.reset()
        return found

    assert run("ZeroshotCLIP", "--eval-only", out="plain") == 0
    expected = records(run.out)[0]
    monkeypatch.setattr(Classification, "evaluate", evaluate_and_reset)
    assert run("ZeroshotCLIP", "--eval-only", out="resetting") == 0
    found = records(run.out)[0]
    assert all(found[key] == expected[key] for key in ("metrics", "counts", "per_class", "confusion", "calibration"))


SLOW_IMPORTS = {"torchmetrics", "sklearn", "scipy", "pandas", "matplotlib", "tensorboard"}  # a second together


def slow_imports():
    return {name for name in sys.modules if name.split(".")[0] in SLOW_IMPORTS}


def test_an_evaluation_imports_nothing_slow_that_it_does_not_need(run, monkeypatch):
    assert run("CoOp", TEST__NO_TEST=True) == 0
    for name in slow_imports():
        monkeypatch.delitem(sys.modules, name)
    assert run("CoOp", "--eval-only", "--model-dir", str(run.out), out="tested") == 0
    assert not slow_imports()
    code = "import sys, clip_prompts.run.libraries; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not SLOW_IMPORTS & set(loaded.split())


def test_what_a_run_imports_is_not_searched_for_garbage():
    """Python would search it when a run ends: a quarter of an evaluation on cached features."""
    code = "import gc, clip_prompts.run.libraries; print(gc.get_freeze_count(), len(gc.get_objects()), gc.isenabled())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    frozen, others, is_enabled = found.split()
    assert int(frozen) > 100 * int(others) and is_enabled == "True"


def test_a_broken_file_is_kept_aside(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('[{"half')
    assert read_records(path) is None
    keep_record(path, {"n": 1})
    keep_record(path, {"n": 2})
    assert read_records(path) == [{"n": 1}, {"n": 2}]
    assert (tmp_path / "results.json.broken").read_text() == '[{"half'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.json", "results.json.broken"]


def test_the_same_evaluation_takes_the_place_of_the_earlier_one(tmp_path):
    path = tmp_path / "results.json"
    old = {"split": "val", "epoch": 1, "loaded": None, "hashes": {"config": "a"}, "metrics": {"accuracy": 1.0}}
    path.write_text(json.dumps([old]))  # version 1
    base = {"format": 2, "split": "val", "epoch": 1, "loaded": None, "hashes": {"config": "a"}, "protocol": "few_shot"}
    others = [{"split": "test"}, {"epoch": 2}, {"loaded": {"model_dir": "m"}}, {"hashes": {"config": "b"}},
              {"protocol": "ablation"}]  # fmt: skip
    for change in ({}, *others):
        keep_record(path, base | change | {"n": 1})
    keep_record(path, base | {"n": 2})
    expected = [old, base | {"n": 2}, *(base | change | {"n": 1} for change in others)]
    assert read_records(path) == json.loads(path.read_text())
    assert [{k: v for k, v in record.items() if k != "sha256"} for record in read_records(path)] == expected


def test_a_record_that_was_damaged_is_left_out_and_named(tmp_path, capsys):
    path = tmp_path / "results.json"
    for epoch in (1, 2):
        keep_record(path, {"format": 2, "split": "test", "epoch": epoch, "metrics": {"accuracy": 61.5}, "t": (1, 2.5)})
    assert [record["epoch"] for record in read_records(path)] == [1, 2] and not capsys.readouterr().out
    path.write_text(path.read_text().replace("61.5", "61.7", 1))
    assert [record["epoch"] for record in read_records(path)] == [2]
    assert f"1 of the records in {path} do not fit" in capsys.readouterr().out
