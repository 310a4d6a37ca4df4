"""Runs that stop in the middle of an epoch and resume there."""

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from dassl.engine.interrupts import Interrupted
from dassl.engine.own_loop import with_recorded_steps
from dassl.utils import CheckpointError, MetricMeter, NonFiniteLossError

from tests.engine.stock import StockTrainer, StockTrainerXU, seed

pytestmark = pytest.mark.integration


class Crash(BaseException):
    """As if the machine had gone down."""


class Drawing:
    """Draws from all generators in every step, and keeps what it drew and lost in ``steps``."""

    stop_at = None  # (epoch, batch)
    signum = None

    def forward_backward(self, *batches):
        if self.stop_at == (self.epoch, self.batch_idx):
            if self.signum is None:
                raise Crash
            os.kill(os.getpid(), self.signum)
        losses = super().forward_backward(*batches) or {}
        drawn = {"drawn": random.random() + np.random.rand() + torch.rand(()).item()}
        paths = [path for batch in batches for path in batch["impath"]]
        pixels = sum(batch["img"].double().sum().item() for batch in batches)
        self.__dict__.setdefault("steps", []).append((self.epoch, self.batch_idx, paths, pixels, losses, drawn))
        return losses | drawn


class DrawingX(Drawing, StockTrainer):
    pass


class DrawingXU(Drawing, StockTrainerXU):
    pass


class OwnLoop(DrawingX):
    """As clients write it: with a loop of its own and the engine's meters."""

    def run_epoch(self):
        self.set_model_mode("train")
        losses = MetricMeter()
        self.num_batches = len(self.train_loader_x)
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
            losses.update(self.forward_backward(batch))
        self.__dict__.setdefault("averages", {})[self.epoch] = losses.meters["loss"].avg


@pytest.fixture
def train(make_cfg, tmp_path):
    """Train into the folder ``name``; ``stop_at`` (epoch, batch) crashes, or with ``signum`` sends a signal."""

    def call(kind, name, *opts, stop_at=None, signum=None, start_seed=1):
        cfg = make_cfg("OUTPUT_DIR", tmp_path / name, "TRAIN.PRINT_FREQ", 1, "OPTIM.MAX_EPOCH", 3, *opts)
        seed(start_seed)
        kind = type(kind.__name__, (kind,), {"stop_at": stop_at, "signum": signum})
        trainer = with_recorded_steps(kind)(cfg)  # as build_trainer does
        try:
            trainer.train()
        except (Crash, Interrupted) as error:
            trainer.ended = error
        return trainer

    return call


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


XU = ("DATASET.NAME", "StockUnlabelled", "TRAIN.COUNT_ITER", "train_u")  # the labelled images come around again
KINDS = {
    "X": (DrawingX, ()),
    "XU": (DrawingXU, XU),
    "own loop": (OwnLoop, ()),
    "drawn sampler": (DrawingX, ("DATALOADER.TRAIN_X.SAMPLER", "RandomClassSampler", "DATALOADER.TRAIN_X.N_INS", 2)),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_at_the_batch(train, kind, workers):
    kind, opts = KINDS[kind]
    opts = (*opts, "DATALOADER.NUM_WORKERS", workers, "OPTIM.MAX_EPOCH", 2 if workers else 3)
    whole = train(kind, "whole", *opts)
    often = (*opts, "TRAIN.CHECKPOINT_BATCHES", 2)
    first = train(kind, "cut", *often, stop_at=(1, 3))
    assert isinstance(first.ended, Crash)
    second = train(kind, "cut", *often, start_seed=99)  # all that is drawn comes from the file
    assert second.steps[0][:2] == (1, 2)
    saved = [step for step in first.steps if step[:2] < (1, 2)]
    assert saved + second.steps == whole.steps
    assert torch.equal(weights(second), weights(whole))
    if kind is OwnLoop:
        assert second.averages.items() <= whole.averages.items() and 1 in second.averages
    assert not os.path.exists(os.path.join(second.output_dir, "mid_epoch")), "a whole epoch is saved that is newer"


def test_lines_and_averages_are_those_of_the_whole_run(train, capsys):
    def lines():
        printed = capsys.readouterr().out.splitlines()
        return [
            line.split(" time ")[0] + line[line.index(" loss ") : line.index(" eta ")]
            for line in printed
            if line.startswith("epoch [")
        ]

    train(DrawingX, "whole")
    whole = lines()
    train(DrawingX, "cut", "TRAIN.CHECKPOINT_BATCHES", 2, stop_at=(1, 3))
    first = lines()
    train(DrawingX, "cut", start_seed=99)
    second = lines()
    assert first == whole[:7] and second == whole[5:], "the last saved batch is reported twice, at most"


@pytest.mark.parametrize(
    "signum, stop_at, final_model",
    [
        (signal.SIGTERM, (0, 0), "last_step"),
        (signal.SIGINT, (1, 2), "best_val"),
        (signal.SIGINT, (1, 3), "last_step"),
        (signal.SIGTERM, (1, 3), "best_val"),
        (signal.SIGTERM, (2, 3), "last_step"),
    ],
)
def test_a_signal_saves_after_the_batch(train, tmp_path, capsys, signum, stop_at, final_model):
    opts = ("TEST.FINAL_MODEL", final_model)
    whole = train(DrawingX, "whole", *opts)
    before = signal.getsignal(signum)
    capsys.readouterr()
    first = train(DrawingX, "cut", *opts, stop_at=stop_at, signum=signum)
    assert first.steps[-1][:2] == stop_at and first.ended.code == 128 + signum
    assert signal.getsignal(signum) is before
    line = capsys.readouterr().out.splitlines()[-1]
    epoch, batch = stop_at
    name = "Ctrl-C" if signum == signal.SIGINT else "SIGTERM"
    assert line.startswith(f"Stopped by {name} in epoch {epoch + 1} of 3, after batch {batch + 1} of 4. ")
    assert f'"{tmp_path}/cut/mid_epoch/state.pth.tar"' in line and "Run the same command again" in line
    second = train(DrawingX, "cut", *opts, start_seed=99)
    assert first.steps + second.__dict__.get("steps", []) == whole.steps
    assert torch.equal(weights(second), weights(whole)) and second.best_result == whole.best_result
    assert sorted(os.listdir(tmp_path / "cut/model")) == sorted(os.listdir(tmp_path / "whole/model"))


class ToldInTest(DrawingX):
    """Is asked to stop during its ``stop_test``-th test."""

    stop_test, tests = None, 0

    def parse_batch_test(self, batch):
        if self.tests == self.stop_test:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().parse_batch_test(batch)

    def test(self, split=None):
        self.tests += 1
        return super().test(split)


def test_a_signal_during_validation(train, capsys):
    opts = ("TEST.FINAL_MODEL", "best_val")
    whole = train(ToldInTest, "whole", *opts)
    first = train(type("ToldInTest", (ToldInTest,), {"stop_test": 2}), "cut", *opts)
    assert first.steps[-1][:2] == (1, 3) and isinstance(first.ended, Interrupted)
    assert "in epoch 2 of 3, after batch 4 of 4" in capsys.readouterr().out
    second = train(ToldInTest, "cut", *opts, start_seed=99)
    assert first.steps + second.steps == whole.steps and second.tests == 3, "validation is done again"
    assert torch.equal(weights(second), weights(whole)) and second.best_result == whole.best_result


def test_a_signal_during_the_final_test(train, capsys):
    first = train(type("ToldInTest", (ToldInTest,), {"stop_test": 1}), "cut")
    assert "Stopped by SIGTERM after the last epoch. Training is finished and saved" in capsys.readouterr().out
    assert isinstance(first.ended, Interrupted)
    second = train(ToldInTest, "cut")
    assert "steps" not in second.__dict__ and second.tests == 1


def test_the_second_signal_ends_at_once(train, tmp_path):
    class Impatient(DrawingX):
        def forward_backward(self, batch):
            super().forward_backward(batch)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(Impatient, "cut", stop_at=(0, 0), signum=signal.SIGINT)
    assert not (tmp_path / "cut/model").exists()


def test_handlers_of_the_program_are_left_alone(train):
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(1))
    try:
        assert len(train(DrawingX, "a", stop_at=(0, 1), signum=signal.SIGTERM).steps) == 12 and came == [1]
    finally:
        signal.signal(signal.SIGTERM, before)


class Weighted(DrawingX):
    """State beside the registered model: an averaged copy, a count, and the count of the class above."""

    STATE = ("average", "scale")

    def build_model(self):
        super().build_model()
        self.average = torch.optim.swa_utils.AveragedModel(self.model)
        self.scale = np.float64(1.0)

    def forward_backward(self, batch):
        losses = super().forward_backward(batch)
        self.average.update_parameters(self.model)
        self.scale *= 1.5
        return losses


class Counting(Weighted):
    STATE = ("count",)
    count = 0

    def forward_backward(self, batch):
        self.count += 1
        return super().forward_backward(batch)


@pytest.mark.parametrize("opts", [("TRAIN.CHECKPOINT_BATCHES", 1), ("TRAIN.CHECKPOINT_FREQ", 1)])
def test_what_state_names_is_restored(train, opts):
    whole = train(Counting, "whole")
    train(Counting, "cut", *opts, stop_at=(2, 1))
    second = train(Counting, "cut", *opts)
    assert (second.count, second.scale) == (whole.count, whole.scale) == (12, 1.5**12)
    for a, b in zip(second.average.parameters(), whole.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_state_that_does_not_exist_is_named(train):
    with pytest.raises(AttributeError, match=r"STATE names 'nothing'"):
        train(type("Wrong", (DrawingX,), {"STATE": ("nothing",)}), "a")


def test_a_loss_that_is_not_finite_in_a_loop_of_ones_own(train, tmp_path):
    class Nan(OwnLoop):
        def model_backward(self, loss):
            super().model_backward(loss * float("nan") if (self.epoch, self.batch_idx) == (1, 2) else loss)

    with pytest.raises(NonFiniteLossError) as error:
        train(Nan, "a", "TRAIN.CHECKPOINT_FREQ", 1)
    line = str(error.value)
    assert line.startswith("Loss is infinite or NaN! Training stopped in epoch 2 of 3, batch 3 of 4, on the images ")
    assert line.count(".png") == 4 and f"The last checkpoint is kept: {tmp_path}/a/model/model.pth.tar-1. " in line


def test_a_run_that_began_elsewhere_goes_on_in_its_own_folder(train, tmp_path, capsys):
    train(DrawingX, "a", "TRAIN.CHECKPOINT_BATCHES", 1, stop_at=(0, 2))
    train(DrawingX, "b", "RESUME", tmp_path / "a", stop_at=(1, 2), signum=signal.SIGTERM)
    assert f'Run it again with RESUME "{tmp_path}/b" to go on.' in capsys.readouterr().out.splitlines()[-1]
    whole, rest = train(DrawingX, "whole"), train(DrawingX, "b", "RESUME", tmp_path / "b")
    assert rest.steps[0][:2] == (1, 3) and torch.equal(weights(rest), weights(whole))


def test_seconds_between_saves(train, tmp_path):
    train(DrawingX, "none", "TRAIN.CHECKPOINT_SECONDS", 3600.0, stop_at=(0, 2))
    assert not (tmp_path / "none/mid_epoch").exists()
    train(DrawingX, "each", "TRAIN.CHECKPOINT_SECONDS", 1e-9, stop_at=(0, 2))
    assert train(DrawingX, "each").steps[0][:2] == (0, 2)


def damage(path):
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)


def test_a_corrupt_state_is_named_and_the_one_before_taken(train, tmp_path, capsys):
    whole = train(DrawingX, "whole")
    train(DrawingX, "cut", "TRAIN.CHECKPOINT_BATCHES", 1, stop_at=(1, 3))
    newest, previous = (tmp_path / "cut/mid_epoch" / name for name in ("state.pth.tar", "state-previous.pth.tar"))
    damage(newest)
    capsys.readouterr()
    second = train(DrawingX, "cut")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning"))
    assert str(newest) in line and f'from "{previous}" (1 epochs, after batch 2 of the next one)' in line
    assert second.steps[0][:2] == (1, 2) and torch.equal(weights(second), weights(whole))


def test_settings_of_another_length_of_epoch(train):
    train(DrawingX, "cut", "TRAIN.CHECKPOINT_BATCHES", 1, stop_at=(1, 3))
    with pytest.raises(CheckpointError, match="an epoch has 2 batches"):
        train(DrawingX, "cut", "DATALOADER.TRAIN_X.BATCH_SIZE", 9)


def test_steps_that_return_something_else(train, capsys, tmp_path):
    """The state of their loop cannot be saved, so the run resumes from its last whole epoch."""

    class Odd(OwnLoop):
        def forward_backward(self, batch):
            super().forward_backward(batch)
            return "fine"

        def run_epoch(self):
            self.num_batches = len(self.train_loader_x)
            for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
                assert self.forward_backward(batch) == "fine"

    train(Odd, "a", "TRAIN.CHECKPOINT_FREQ", 1, stop_at=(1, 1), signum=signal.SIGTERM)
    line = capsys.readouterr().out.splitlines()[-1]
    assert f"The last checkpoint is kept: {tmp_path}/a/model/model.pth.tar-1." in line
    assert train(Odd, "a").steps[0][:2] == (1, 0)
