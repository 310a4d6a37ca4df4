"""Section 4.4 and 4.5: the lines, curves and files of a run."""

import os
import re
import time
from collections import OrderedDict
from unittest import mock

import torch
from dassl.engine import TrainerBase
from dassl.utils import load_checkpoint, resume_from_checkpoint

from . import tiny
from .support import OURS, differs

NUMBER = r"\d+\.\d{3} \(\d+\.\d{3}\)"
LOSSES = r"loss \d+\.\d{4} \(\d+\.\d{4}\) second 2\.0000 \(2\.0000\)"


def epoch_lines(run):
    return [line for line in run.lines if line.startswith("epoch [")]


def test_line_of_a_batch():
    """The line of a batch, single spaces; printed every PRINT_FREQ batches."""
    found = epoch_lines(tiny.run())
    form = (
        rf"epoch \[\d/2\] batch \[\d/4\] time {NUMBER} data {NUMBER} {LOSSES} lr \d\.\d{{4}}e[+-]\d\d eta \d:\d\d:\d\d"
    )
    for line in found:
        assert re.fullmatch(form, line), line
    assert [re.search(r"batch \[(\d)", line)[1] for line in found] == ["2", "4", "2", "4"]


def test_line_of_every_batch():
    """Every batch has a line when an epoch has fewer batches than PRINT_FREQ."""
    assert len(epoch_lines(tiny.run("TRAIN.PRINT_FREQ", 5, "OPTIM.MAX_EPOCH", 1))) == 4


def test_clock_and_averages():
    """eta is the average time of a batch x the batches left in all epochs; averages are over the batches of the running
    epoch alone.
    """
    kind = tiny.ConformanceClock
    with mock.patch.multiple(time, time=lambda: kind.clock):
        found = epoch_lines(tiny.fresh_run("TRAINER.NAME", "ConformanceClock", "OPTIM.MAX_EPOCH", 2))
    ends = [line.partition("time ")[2] for line in found]
    shown = [re.sub(r" lr \S+", "", end) for end in ends]
    values = [
        ("n 1.0000 (0.5000)", 60),
        ("n 3.0000 (1.5000)", 40),
        ("n 11.0000 (10.5000)", 20),
        ("n 13.0000 (11.5000)", 0),
    ]
    times = "10.000 (10.000) data 0.000 (0.000)"
    assert shown == [f"{times} {value} eta 0:{left // 60:02}:{left % 60:02}" for value, left in values]


def test_line_without_losses():
    """forward_backward returns None: the part of the losses is empty, two spaces remain before lr."""
    for line in epoch_lines(tiny.run("TRAINER.NAME", "ConformanceSilent", "OPTIM.MAX_EPOCH", 1)):
        assert re.search(rf"data {NUMBER}  lr ", line), line


def test_lines_of_a_run():
    """The other lines of a run, in order."""
    run = tiny.run()
    start = run.lines.index("No checkpoint found, train from scratch")
    rest = [line for line in run.lines[start:] if not line.startswith(("epoch [", "* "))]
    assert re.fullmatch(r"Elapsed: \d:\d\d:\d\d", rest.pop())
    assert rest == [
        "No checkpoint found, train from scratch",
        f"Initialize tensorboard (log_dir={run.folder}/tensorboard)",
        f"Checkpoint saved to {run.folder}/model/model.pth.tar-2",
        "Finish training", "Deploy the last-epoch model", "Evaluate on the *test* set", "=> result",
    ]  # fmt: skip


def test_elapsed_days(capsys):
    """The time is timedelta's text: days appear as "1 day, 0:00:00"."""
    trainer = tiny.build("TEST.NO_TEST", True)

    trainer.time_start = time.time() - 86400
    capsys.readouterr()
    trainer.after_train()
    text = capsys.readouterr()
    assert re.fullmatch(r"Elapsed: 1 day, 0:00:0\d", text.out.splitlines()[-1]), text.out.splitlines()[-1]


def test_lines_of_best_val():
    """best_val: the best model is saved as model-best.pth.tar, loaded at the end, and tested."""
    run = tiny.run("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", 1, "OPTIM.MAX_EPOCH", 1)
    best = f"{run.folder}/model/model-best.pth.tar"
    rest = run.lines[run.lines.index("Finish training") :]
    assert rest[1] == "Deploy the model with the best val performance"
    result = f"{run.trainer.best_result:.1f}"
    assert [x for x in rest if x.startswith("Load ")] == [f"Load {best} to model (epoch=1, val_result={result})"]
    assert f"Checkpoint saved to {best}" in run.lines and os.path.isfile(best)


def test_curves():
    """train/{loss} (running average) and train/lr at step epoch x num_batches + batch_idx, every batch;
    {split}/{metric} at step epoch after each test.
    """
    points = []
    with mock.patch.multiple(
        TrainerBase, write_scalar=lambda self, tag, value, step=None, **k: points.append((tag, step, value))
    ):
        tiny.fresh_run("TEST.PER_CLASS_RESULT", True, "TEST.FINAL_MODEL", "best_val")
    steps = {}
    for tag, step, _ in points:
        steps.setdefault(tag, []).append(step)
    assert steps["train/lr"] == list(range(8))
    assert (steps["train/loss"], steps["train/second"]) == (list(range(8)), list(range(8)))
    for metric in ("accuracy", "error_rate", "macro_f1", "perclass_accuracy"):
        assert steps[f"val/{metric}"] == [0, 1]
        assert steps[f"test/{metric}"] == [1]


def test_event_files():
    """The writer's files are in {OUTPUT_DIR}/tensorboard."""
    names = os.listdir(os.path.join(tiny.run().folder, "tensorboard"))
    assert any(name.startswith("events.out.tfevents") for name in names), names


def test_files_of_a_model():
    """A model's folder holds numbered checkpoints and the pointer alone: clients take the largest number they find."""
    run = tiny.run("TRAIN.CHECKPOINT_FREQ", 2, "OPTIM.MAX_EPOCH", 5)
    names = {"checkpoint", "model.pth.tar-2", "model.pth.tar-4", "model.pth.tar-5"}
    assert set(os.listdir(os.path.join(run.folder, "model"))) == names


# Checkpoints


def checkpoint(*opts, name="model.pth.tar-2", model="model"):
    return load_checkpoint(os.path.join(tiny.run(*opts).folder, model, name))


def test_checkpoint_keys():
    """state_dict (OrderedDict), epoch (finished epochs), optimizer, scheduler (dicts), val_result (None)."""
    state = checkpoint()
    assert {"state_dict", "epoch", "optimizer", "scheduler", "val_result"} <= set(state)
    assert isinstance(state["state_dict"], OrderedDict) and "classifier.weight" in state["state_dict"]
    assert (state["epoch"], state["val_result"]) == (2, None)
    assert set(state["optimizer"]) == {"state", "param_groups"} and state["scheduler"]["last_epoch"] == 2


def test_checkpoint_of_a_second_model():
    """Every registered model has a folder of its own; optimizer and scheduler are None where it has none."""
    state = checkpoint("TRAINER.NAME", "ConformanceTwo", model="second")
    assert (state["optimizer"], state["scheduler"], list(state["state_dict"])) == (None, None, ["weight", "bias"])


def test_checkpoint_of_the_best():
    """val_result of the best model is a float."""
    opts = ("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", 1, "OPTIM.MAX_EPOCH", 1)
    state = checkpoint(*opts, name="model-best.pth.tar")
    assert (type(state["val_result"]), state["val_result"]) == (float, tiny.run(*opts).trainer.best_result)


LEVEL = ("TRAINER.NAME", "ConformanceLevel", "TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 9)


def test_equal_is_not_better():
    """Only a strictly better result is saved as the best."""
    assert checkpoint(*LEVEL, name="model-best.pth.tar")["epoch"] == 1


def test_pointer_of_best_val():
    """The pointer names the file saved last, the best included: an interrupted run may resume from its best epoch."""
    run = tiny.run(*LEVEL)
    with open(os.path.join(run.folder, "model", "checkpoint")) as file:
        named = file.readline().strip()
    epoch = checkpoint(*LEVEL, name=named)["epoch"]
    differs(epoch == 2 and run.cut, "resumes-latest")
    assert (named, epoch) == ("model-best.pth.tar", 1)


def test_warmup_keys():
    """With warm-up the scheduler holds cons_lr or min_lr, warmup_epoch, base_lrs, last_epoch, _step_count, _last_lr."""
    for kind, own in (("constant", "cons_lr"), ("linear", "min_lr")):
        state = checkpoint("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", kind)["scheduler"]
        assert {own, "warmup_epoch", "base_lrs", "last_epoch", "_step_count", "_last_lr", "successor"} <= set(state)
        assert (state[own], state["warmup_epoch"], state["base_lrs"], state["last_epoch"]) == (1e-5, 1, [0.5], 1)


def test_successor_in_the_file():
    """successor is a pickled object, the wrapped scheduler of torch, which holds an optimiser."""
    path = os.path.join(tiny.run("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "constant").folder, "model")
    path = os.path.join(path, "model.pth.tar-2")
    try:
        state = torch.load(path, weights_only=True)
    except Exception:
        found = torch.load(path, weights_only=False)["scheduler"]["successor"]  # written by this very run
        assert hasattr(found, "optimizer")
        assert not OURS
        return
    differs(isinstance(state["scheduler"]["successor"], dict), "plain-successor")
    raise AssertionError(f"successor is {state['scheduler']['successor']!r}")


def test_successor_from_upstream(tmp_path):
    """A checkpoint whose successor is a pickled object of torch can be read and resumed from."""
    trainer = tiny.build("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "constant")
    trainer.optim.step()
    trainer.sched.step()
    state = {**trainer.sched.state_dict(), "successor": trainer.sched.successor}
    torch.save(
        {"state_dict": trainer.model.state_dict(), "epoch": 1, "optimizer": trainer.optim.state_dict(),
         "scheduler": state, "val_result": None},
        tmp_path / "model.pth.tar-1",
    )  # fmt: skip
    (tmp_path / "checkpoint").write_text("model.pth.tar-1\n")
    assert resume_from_checkpoint(str(tmp_path), trainer.model, trainer.optim, trainer.sched) == 1


# The log


def test_log_parser():
    """The log of a run, read as tools/parse_test_res.py does: after the line "Finish training", the last match of
    `\\* accuracy: ([\\.\\deE+-]+)%`.
    """
    found, past = None, False
    for line in tiny.run().lines:
        past = past or line.strip() == "Finish training"
        match = re.compile(r"\* accuracy: ([\.\deE+-]+)%").search(line)
        if match and past:
            found = float(match[1])
    assert found is not None and 0 <= found <= 100
