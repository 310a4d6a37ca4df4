"""TRACKER: what each program gets of a run, and that none of them changes or loses it."""

import json
import random
import sys
import types

import numpy as np
import pytest
import torch

from clip_prompts.records.trackers import SERVICES, Tracker, open_tracker

END = {  # of a finished run, and of a failed one
    "wandb": (("end", {"exit_code": 0}), ("end", {"exit_code": 1})),
    "trackio": (("end", {}), ("end", {})),
    "mlflow": (("end", "FINISHED", {}), ("end", "FAILED", {})),
}
SETTINGS = {"OPTIM__MAX_EPOCH": 3, "TRAINER__COOP__N_CTX": 4}


def draws():
    """A package may draw from the global streams; the run's must not move."""
    random.random(), np.random.rand(), torch.rand(1)


@pytest.fixture(params=SERVICES)
def service(request, monkeypatch):
    """A package of this name that writes down its calls: ``begin``, ``log`` (metrics and step), ``end``."""
    calls, fails = [], set()

    def of(kind):
        def call(*args, **named):
            draws()
            if kind in fails:
                raise ConnectionError("no\nnetwork")
            calls.append((kind, *args, named))
            return types.SimpleNamespace(log=of("log"), finish=of("end"))

        return call

    functions = {
        "wandb": {"init": "begin"},
        "trackio": {"init": "begin", "log": "log", "finish": "end"},
        "mlflow": {"start_run": "begin", "log_params": "params", "log_metrics": "log", "end_run": "end"},
    }[request.param]
    package = types.ModuleType(request.param)
    for name, kind in functions.items():
        setattr(package, name, of(kind))
    monkeypatch.setitem(sys.modules, request.param, package)
    return types.SimpleNamespace(name=request.param, calls=calls, fails=fails)


def records(folder):
    (record,) = json.loads((folder / "results.json").read_text())
    return record


def logged(service):
    return [(call[1], call[-1]["step"]) for call in service.calls if call[0] == "log"]


def test_a_service_gets_settings_curve_and_metrics(service, run):
    assert run(TRACKER=service.name, **SETTINGS) == 0
    record, calls = records(run.out), service.calls
    named = calls[0][-1]
    params = {}
    for call in calls:
        params |= call[1] if call[0] == "params" else {}
    facts = params or named["config"]
    identity = json.loads((run.out / "identity.json").read_text())["determines"]
    assert facts["identity"] == record["identity"] and facts["data.test"] == identity["data.test"]
    assert facts["precision"] == "fp32 on cpu" and str(facts["TRAINER.COOP.N_CTX"]) == "4"
    assert named["run_name" if service.name == "mlflow" else "name"].endswith("/run")
    assert service.name != "wandb" or named["dir"] == str(run.out)
    assert all(len(call[1]) <= 100 for call in calls if call[0] == "params")  # MLflow takes no more at once
    curve = [({f"train/{k}": v for k, v in p.items() if k != "epoch"}, p["epoch"]) for p in record["curve"]]
    assert logged(service) == [*curve, ({f"test/{k}": v for k, v in record["metrics"].items()}, 3)]
    ends = [call for call in calls if call[0] == "end"]
    assert ends == [calls[-1]] == [END[service.name][0]]


def test_a_tracker_changes_no_number_and_writes_no_tensorboard(service, run):
    found = {}
    for tracker in ("tensorboard", service.name, "none"):
        assert run(TRACKER=tracker, out=tracker, **SETTINGS) == 0
        record = records(run.out)
        found[tracker] = [record[key] for key in ("identity", "recipe", "metrics", "curve")]
        assert (run.out / "tensorboard").is_dir() == (tracker == "tensorboard")
    assert found["tensorboard"] == found[service.name] == found["none"]


@pytest.mark.parametrize("service", ["mlflow"], indirect=True)
@pytest.mark.parametrize("fault", ["begin", "log", "end"])
def test_a_service_that_fails_costs_a_line(service, run, fault):
    service.fails.add(fault)
    assert run(TRACKER=service.name, **SETTINGS) == 0
    warnings = [line for line in (run.out / "log.txt").read_text().splitlines() if "goes on without" in line]
    assert len(warnings) == 1 and f"{service.name} failed" in warnings[0] and "no network" in warnings[0]
    assert records(run.out)["curve"][-1]["epoch"] == 3 and "Error" not in run.err
    assert len(logged(service)) == (4 if fault == "end" else 0)


def test_an_evaluation_is_followed_too(service, run):
    assert run("ZeroshotCLIP", "--eval-only", TRACKER=service.name) == 0
    assert logged(service) == [({f"test/{k}": v for k, v in records(run.out)["metrics"].items()}, 0)]
    assert service.calls[-1][0] == "end"


def test_a_resumed_run_sends_its_whole_curve(service, run):
    assert run(TRACKER="none", out="one", TRAIN__CHECKPOINT_FREQ=1, **SETTINGS) == 0
    (run.out / "prompt_learner/model.pth.tar-3").unlink()
    (run.out / "prompt_learner/checkpoint").write_text("model.pth.tar-2\n")
    assert run(TRACKER=service.name, out="one", TRAIN__CHECKPOINT_FREQ=1, **SETTINGS) == 0
    assert [step for _, step in logged(service)] == [1, 2, 3, 3]


def test_a_failed_run_ends_as_failed(service, tmp_path):
    from yacs.config import CfgNode

    from clip_prompts.records.identity import Identity

    cfg, identity = CfgNode({"OUTPUT_DIR": str(tmp_path)}), Identity({}, {})
    with pytest.raises(KeyboardInterrupt), open_tracker(service.name).following(cfg, identity):
        raise KeyboardInterrupt
    assert service.calls[-1] == END[service.name][1]


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("package", [None, types.ModuleType("empty")])
def test_a_missing_package_is_one_line_before_anything_starts(name, package, run, monkeypatch):
    monkeypatch.setitem(sys.modules, name, package)
    assert run(TRACKER=name) == 2
    assert run.err.count("\n") == 1 and f"TRACKER {name}" in run.err and f"pip install {name}" in run.err
    assert not run.out.exists()


def test_an_unknown_tracker_is_refused(run):
    assert run(TRACKER="tensorbord") == 2 and "Did you mean 'tensorboard'" in run.err


def test_tensorboard_has_the_curve_of_every_step(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run(**SETTINGS) == 0
    events = EventAccumulator(str(run.out / "tensorboard"))
    events.Reload()
    record = records(run.out)
    assert [event.step for event in events.Scalars("train/loss")] == list(range(3))
    assert events.Scalars("test/accuracy")[0].value == pytest.approx(record["metrics"]["accuracy"])


def test_without_a_service_nothing_is_done():
    tracker = open_tracker("none")
    tracker.epoch_ends([{"epoch": 1, "loss": 1.0}])
    tracker.test_ends("test", {"accuracy": 1.0})
    assert isinstance(tracker, Tracker) and tracker.service is None
