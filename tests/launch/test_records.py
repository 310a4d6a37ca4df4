"""results.json: metrics in full precision, with what determines them."""

import json

from launch.records import append_record, read_records


def test_record_of_a_run(run):
    assert run("CoOp", TRAINER__COOP__N_CTX=4) == 0
    (record,) = json.loads((run.out / "results.json").read_text())
    assert record["metrics"]["accuracy"] + record["metrics"]["error_rate"] == 100
    assert record["images"] == 200 and record["split"] == "test" and record["epoch"] == 1
    assert record["settings"]["TRAINER"]["COOP"]["N_CTX"] == 4
    assert record["settings"]["OPTIM"]["LR"] == 0.002
    assert record["versions"]["torch"] and record["versions"]["python"]
    log = (run.out / "log.txt").read_text()
    assert f"* accuracy: {record['metrics']['accuracy']:.1f}%" in log
    assert f"* macro_f1: {record['metrics']['macro_f1']:.1f}%" in log


def test_hashes_follow_what_they_stand_for(run, small):
    hashes = {}
    for name, settings in {
        "one": {},
        "same": {},
        "seed": {"SEED": 2},
        "base": {"DATASET__SUBSAMPLE_CLASSES": "base"},
    }.items():
        assert run("ZeroshotCLIP", "--eval-only", out=name, **settings) == 0
        hashes[name] = json.loads((run.out / "results.json").read_text())[-1]["hashes"]
    one = hashes["one"]
    assert {**hashes["same"], "config": None} == {**one, "config": None}  # the output folder is part of the config
    assert hashes["seed"]["train_x"] != one["train_x"] and hashes["seed"]["test"] == one["test"]
    assert hashes["base"]["test"] != one["test"]
    assert len({h["backbone"] for h in hashes.values()}) == 1 and len(one["backbone"]) == 64


def test_best_on_validation_records_every_evaluation(run):
    assert run("CoOp", TEST__FINAL_MODEL="best_val", OPTIM__MAX_EPOCH=2) == 0
    records = json.loads((run.out / "results.json").read_text())
    assert [(r["split"], r["images"]) for r in records] == [("val", 20), ("val", 20), ("test", 200)]
    assert {r["selection"] for r in records} == {"best epoch on the validation set"}


def test_a_broken_file_is_kept_aside(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('[{"half')
    assert read_records(path) is None
    append_record(path, {"n": 1})
    append_record(path, {"n": 2})
    assert read_records(path) == [{"n": 1}, {"n": 2}]
    assert (tmp_path / "results.json.broken").read_text() == '[{"half'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.json", "results.json.broken"]
