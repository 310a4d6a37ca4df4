"""Section 4.6: going on with a run."""

import os
import shutil

from .. import tiny
from ..checking import check, differs, equal, folder, near, patched, printed, raises

RESUME = "dassl.engine.TrainerBase.resume_model_if_exist"
CUT = ("OPTIM.MAX_EPOCH", 4, "TRAIN.CHECKPOINT_FREQ", 1)


def cut_run(*opts):
    """A copy of the folder of a run that stopped after two of four epochs."""
    run = tiny.run("TRAINER.NAME", "ConformanceCut", *CUT, *opts)
    place = folder() / "run"
    shutil.copytree(run.folder, place)
    return str(place)


@check(RESUME, "line:No checkpoint found, train from scratch")
def nothing_there():
    """Returns 0 and prints a line when a registered model has no folder."""
    with printed():
        trainer = tiny.build()
    with printed() as text:
        equal(trainer.resume_model_if_exist(str(folder())), 0)
    equal(text.lines, ["No checkpoint found, train from scratch"])


@check(RESUME, "file:{OUTPUT_DIR}/{model name}/checkpoint")
def no_pointer():
    """A folder without the pointer file is a FileNotFoundError."""
    with printed():
        trainer = tiny.build()
    place = folder()
    (place / "model").mkdir()
    with raises(FileNotFoundError):
        trainer.resume_model_if_exist(str(place))


@check(
    RESUME, "dassl.engine.SimpleTrainer.before_train", "line:Found checkpoint at {dir} (will resume training)",
    'line:Loading checkpoint from "{file}"', "line:Previous epoch: {n}", "cfg.OUTPUT_DIR",
)  # fmt: skip
def used_folder():
    """RESUME empty: a used OUTPUT_DIR is resumed without being asked, at the epoch after the last saved one."""
    place = cut_run()
    run = tiny.fresh_run(*CUT, "OUTPUT_DIR", place)
    start = run.lines.index(f"Found checkpoint at {place} (will resume training)")
    equal(run.lines[start + 1 : start + 6], [
        f'Loading checkpoint from "{place}/model/model.pth.tar-2"', "Loaded model weights", "Loaded optimizer",
        "Loaded scheduler", "Previous epoch: 2",
    ])  # fmt: skip
    equal((run.trainer.start_epoch, run.trainer.calls.count("run_epoch")), (2, 2))
    near(run.trainer.rates, [0.25, 0.5 * 0.146446609406])


@check("cfg.RESUME", RESUME)
def resume_from_elsewhere():
    """RESUME names the folder to resume from; output goes to OUTPUT_DIR."""
    place = cut_run()
    run = tiny.fresh_run(*CUT, "RESUME", place)
    equal(run.trainer.calls.count("run_epoch"), 2)
    assert os.path.isfile(os.path.join(run.folder, "model", "model.pth.tar-4"))


@check(RESUME, "dassl.engine.SimpleTrainer.after_train")
def finished_run():
    """A finished run trains 0 epochs and tests again."""
    place = folder() / "run"
    shutil.copytree(tiny.run().folder, place)
    run = tiny.fresh_run("OUTPUT_DIR", str(place))
    equal((run.trainer.calls.count("run_epoch"), run.trainer.calls[-1]), (0, "test None"))


@check("tensorboard:{split}/accuracy", "dassl.engine.SimpleTrainer.epoch")
def test_of_a_finished_run():
    """The test of a run that had been finished before is written at step 0."""
    from dassl.engine import TrainerBase

    place, steps = folder() / "run", []
    shutil.copytree(tiny.run().folder, place)
    with patched(TrainerBase, write_scalar=lambda self, tag, value, step=None, **_: steps.append(step)):
        tiny.fresh_run("OUTPUT_DIR", str(place))
    differs(set(steps) == {1}, "retest-at-last-epoch")
    equal(set(steps), {0})


@check(RESUME)
def several_models():
    """Every registered model is restored; the start epoch is that of the last one loaded."""
    place = folder() / "run"
    shutil.copytree(tiny.run("TRAINER.NAME", "ConformanceTwo").folder, place)
    with printed():
        trainer = tiny.build("TRAINER.NAME", "ConformanceTwo")
    with printed() as text:
        equal(trainer.resume_model_if_exist(str(place)), 2)
    equal(sum(line.startswith("Loading checkpoint from") for line in text.lines), 2)


@check(RESUME, "dassl.engine.SimpleTrainer.best_result")
def random_states_and_best_result():
    """best_result, the random states and a scaler are not restored."""
    place = cut_run("TEST.FINAL_MODEL", "best_val")
    with printed():
        trainer = tiny.build("TEST.FINAL_MODEL", "best_val", *CUT)
        trainer.resume_model_if_exist(place)
    before = tiny.run("TRAINER.NAME", "ConformanceCut", *CUT, "TEST.FINAL_MODEL", "best_val").trainer.best_result
    differs(trainer.best_result == before > -float("inf"), "resumes-everything")
    equal(trainer.best_result, -float("inf"))


@check(RESUME)
def same_as_undisturbed():
    """A resumed run draws other random numbers than one that was never interrupted."""
    whole = tiny.run(*CUT)
    resumed = tiny.fresh_run(*CUT, "OUTPUT_DIR", cut_run())
    differs(resumed.trainer.losses == whole.trainer.losses[8:], "resumes-everything")
    assert len(resumed.trainer.losses) == 8


@check(RESUME, "dassl.optim.lr_scheduler._BaseWarmupScheduler")
def warmup_after_resume():
    """With warm-up the rate freezes after resuming: the restored schedule steps a copy of the optimiser."""
    warm = ("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "constant")
    resumed = tiny.fresh_run(*CUT, *warm, "OUTPUT_DIR", cut_run(*warm))
    whole = tiny.run(*CUT, *warm)
    differs(resumed.trainer.rates == whole.trainer.rates[2:], "warmup-goes-on")
    equal(len(set(resumed.trainer.rates)), 1)


@check("dassl.engine.TrainerBase.load_model", "file:{OUTPUT_DIR}/{model name}/model.pth.tar-{N}")
def load_without_best():
    """load_model without an epoch wants model-best.pth.tar, which a last_step run never writes."""
    with printed():
        trainer = tiny.build()
    with raises(FileNotFoundError, "No model at"):
        trainer.load_model(tiny.run().folder)


@check("dassl.engine.TrainerBase.load_model")
def clients_loader():
    """Clients load by hand: they use only state_dict and epoch, delete token buffers, and load with strict=False."""
    from dassl.utils import load_checkpoint

    state = load_checkpoint(os.path.join(tiny.run().folder, "model", "model.pth.tar-2"))
    weights, epoch = state["state_dict"], state["epoch"]
    del weights["classifier.bias"]
    with printed():
        trainer = tiny.build()
    found = trainer._models["model"].load_state_dict(weights, strict=False)
    equal((list(found.missing_keys), epoch), (["classifier.bias"], 2))
