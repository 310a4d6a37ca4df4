"""How a step's time divides, with a clock that the test moves."""

import re

import pytest
import torch
from torch import nn

from clip_prompts.clip import step_times
from clip_prompts.clip.step_times import TEXT, StepTimes


class Takes(nn.Module):
    """Takes some seconds of the fake clock."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def forward(self):
        self.clock.now += self.seconds


class Clock:
    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(step_times, "time", clock)
    return clock


def test_parts_add_up(clock):
    """Data 1 s, images 4 s, text 2 s and 2 s backward, the rest 1 s; recomputed text counts once."""
    image, text = Takes(clock, 4), Takes(clock, 2)
    times = StepTimes(torch.device("cpu"), image, text)
    assert times.line() == ""
    for _ in range(2):
        clock.now += 50  # an evaluation between epochs
        image()
        times.epoch_begins()
        for _ in range(3):
            clock.now += 1
            with times.step():
                image()
                text()
                clock.now += 1
                with times.part(TEXT):
                    text()
    assert times.line() == (
        "A training step took 10000.0 ms: data 10%, image encoder 40%, text encoder 40%, the rest 10% (mean of 6 steps)"
    )


def test_a_step_that_failed_does_not_spoil_the_next(clock):
    image, text = Takes(clock, 3), Takes(clock, 1)
    times = StepTimes(torch.device("cpu"), image, text)
    times.epoch_begins()
    with pytest.raises(MemoryError), times.step(), times.part(TEXT):
        raise MemoryError
    times.epoch_begins()
    with times.step():
        image()
        text()
    assert "data 0%, image encoder 75%, text encoder 25%, the rest 0% (mean of 1 steps)" in times.line()


def test_what_is_encoded_ahead_is_shared_by_its_steps_and_is_no_loading(clock):
    """Of each step: data 1 s, images 4 s, the rest 5 s."""
    times = StepTimes(torch.device("cpu"), Takes(clock, 0), Takes(clock, 0))
    times.epoch_begins()
    for step in range(4):
        clock.now += 1
        if step % 2 == 0:
            with times.ahead(2):
                clock.now += 8
        with times.step():
            clock.now += 5
    assert times.line() == (
        "A training step took 10000.0 ms: data 10%, image encoder 40%, text encoder 0%, the rest 50% (mean of 4 steps)"
    )


@pytest.mark.parametrize("trainer", ("CoOp", "CoCoOp"))
def test_the_log_of_a_run_has_the_line_once(trainer, run):
    assert run(trainer, DATALOADER__TRAIN_X__BATCH_SIZE=5) == 0
    (line,) = re.findall(r"^A training step took .*$", run.stdout, re.M)
    shares = [int(share) for share in re.findall(r"(\d+)%", line)]
    assert len(shares) == 4 and sum(shares) == pytest.approx(100, abs=3)
    assert "data" in line and min(shares[1:3]) > 0
    assert "(mean of 4 steps)" in line
    assert run("ZeroshotCLIP", out="zero", config="configs/trainers/ZeroshotCLIP/vit_b16.yaml") == 0
    assert "A training step took" not in run.stdout
