"""Section 4.6: going on with a run."""

import os
import re
import shutil
from unittest import mock

import pytest
from dassl.engine import TrainerBase
from dassl.utils import load_checkpoint

from . import tiny
from .support import differs

RESUME = "dassl.engine.TrainerBase.resume_model_if_exist"
CUT = ("OPTIM.MAX_EPOCH", 4, "TRAIN.CHECKPOINT_FREQ", 1)


def cut_run(*opts):
    """A copy of the folder of a run that stopped after two of four epochs."""
    run = tiny.run("TRAINER.NAME", "ConformanceCut", *CUT, *opts)
    place = tiny.folder() / "run"
    shutil.copytree(run.folder, place)
    return str(place)


def test_nothing_there(capsys, tmp_path):
    """Returns 0 and prints a line when a registered model has no folder."""
    trainer = tiny.build()
    capsys.readouterr()
    assert trainer.resume_model_if_exist(str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == ["No checkpoint found, train from scratch"]


def test_no_pointer(tmp_path):
    """A folder without the pointer file is a FileNotFoundError."""
    trainer = tiny.build()
    (tmp_path / "model").mkdir()
    with pytest.raises(FileNotFoundError):
        trainer.resume_model_if_exist(str(tmp_path))


def test_used_folder():
    """RESUME empty: a used OUTPUT_DIR is resumed without being asked, at the epoch after the last saved one."""
    place = cut_run()
    run = tiny.fresh_run(*CUT, "OUTPUT_DIR", place)
    start = run.lines.index(f"Found checkpoint at {place} (will resume training)")
    assert run.lines[start + 1 : start + 6] == [
        f'Loading checkpoint from "{place}/model/model.pth.tar-2"', "Loaded model weights", "Loaded optimizer",
        "Loaded scheduler", "Previous epoch: 2",
    ]  # fmt: skip
    assert (run.trainer.start_epoch, run.trainer.calls.count("run_epoch")) == (2, 2)
    assert run.trainer.rates == pytest.approx([0.25, 0.5 * 0.146446609406])


def test_resume_from_elsewhere():
    """RESUME names the folder to resume from; output goes to OUTPUT_DIR."""
    place = cut_run()
    run = tiny.fresh_run(*CUT, "RESUME", place)
    assert run.trainer.calls.count("run_epoch") == 2
    assert os.path.isfile(os.path.join(run.folder, "model", "model.pth.tar-4"))


def test_finished_run(tmp_path):
    """A finished run trains 0 epochs and tests again."""
    place = tmp_path / "run"
    shutil.copytree(tiny.run().folder, place)
    run = tiny.fresh_run("OUTPUT_DIR", str(place))
    assert (run.trainer.calls.count("run_epoch"), run.trainer.calls[-1]) == (0, "test None")


def test_of_a_finished_run(tmp_path):
    """The test of a run that had been finished before is written at step 0."""
    place, steps = tmp_path / "run", []
    shutil.copytree(tiny.run().folder, place)
    with mock.patch.multiple(TrainerBase, write_scalar=lambda self, tag, value, step=None, **_: steps.append(step)):
        tiny.fresh_run("OUTPUT_DIR", str(place))
    differs(set(steps) == {1}, "retest-at-last-epoch")
    assert set(steps) == {0}


def test_several_models(capsys, tmp_path):
    """Every registered model is restored; the start epoch is that of the last one loaded."""
    place = tmp_path / "run"
    shutil.copytree(tiny.run("TRAINER.NAME", "ConformanceTwo").folder, place)
    trainer = tiny.build("TRAINER.NAME", "ConformanceTwo")
    capsys.readouterr()
    assert trainer.resume_model_if_exist(str(place)) == 2
    assert sum(line.startswith("Loading checkpoint from") for line in capsys.readouterr().out.splitlines()) == 2


def test_random_states_and_best_result():
    """best_result, the random states and a scaler are not restored."""
    place = cut_run("TEST.FINAL_MODEL", "best_val")
    trainer = tiny.build("TEST.FINAL_MODEL", "best_val", *CUT)
    trainer.resume_model_if_exist(place)
    before = tiny.run("TRAINER.NAME", "ConformanceCut", *CUT, "TEST.FINAL_MODEL", "best_val").trainer.best_result
    differs(trainer.best_result == before > -float("inf"), "resumes-everything")
    assert trainer.best_result == -float("inf")


def test_same_as_undisturbed():
    """A resumed run draws other random numbers than one that was never interrupted."""
    whole = tiny.run(*CUT)
    resumed = tiny.fresh_run(*CUT, "OUTPUT_DIR", cut_run())
    differs(resumed.trainer.losses == whole.trainer.losses[8:], "resumes-everything")
    assert len(resumed.trainer.losses) == 8


def test_warmup_after_resume():
    """With warm-up the rate freezes after resuming: the restored schedule steps a copy of the optimiser."""
    warm = ("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "constant")
    resumed = tiny.fresh_run(*CUT, *warm, "OUTPUT_DIR", cut_run(*warm))
    whole = tiny.run(*CUT, *warm)
    differs(resumed.trainer.rates == whole.trainer.rates[2:], "warmup-goes-on")
    assert len(set(resumed.trainer.rates)) == 1


def test_load_without_best():
    """load_model without an epoch wants model-best.pth.tar, which a last_step run never writes."""
    trainer = tiny.build()
    with pytest.raises(FileNotFoundError, match=re.escape("No model at")):
        trainer.load_model(tiny.run().folder)


def test_clients_loader():
    """Clients load by hand: they use only state_dict and epoch, delete token buffers, and load with strict=False."""
    state = load_checkpoint(os.path.join(tiny.run().folder, "model", "model.pth.tar-2"))
    weights, epoch = state["state_dict"], state["epoch"]
    del weights["classifier.bias"]
    trainer = tiny.build()
    found = trainer._models["model"].load_state_dict(weights, strict=False)
    assert (list(found.missing_keys), epoch) == (["classifier.bias"], 2)
