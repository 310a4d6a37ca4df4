"""Output of a sweep while it runs."""

import io
import sys

import pytest

from clip_prompts.sweep import progress
from clip_prompts.sweep.durations import Durations
from clip_prompts.sweep.job import Job
from tests.terminal import Terminal


def job(trainer="CoOp", dataset="digits", seed=1, config="tiny", shots=16):
    folder = f"{trainer}/{dataset}/{shots}/{seed}"
    return Job("base2new", trainer, config, dataset, "base", shots, seed, folder, ["--seed", str(seed)])


@pytest.mark.parametrize("columns", [80, 120])
def test_a_line_for_the_whole_and_one_per_running_job(columns, monkeypatch):
    terminal = Terminal(columns)
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    long, short, other = job("ALongNameOfAMethod" * 4), job(), job(seed=2)
    with progress.progress(2, lambda: "3 of 3 runs done, 0:00:09") as shown:
        shown.draw(lambda: "0 of 3 runs done, 0:00:01", lambda: [(long, "epoch 1/5   0:00:01"), (short, "starts")])
        shown.draw(lambda: "1 of 3 runs done, 0:00:02", lambda: [(short, "epoch 1/5")])
        shown.job_ended("[1/3] CoOp digits: failed")
        shown.draw(lambda: "1 of 3 runs done, 0:00:02", lambda: [(short, "epoch 2/5"), (other, "epoch 1/5")])
    raw = terminal.raw()
    lines = raw.replace("\x1b[A", "\n").replace("\r", "\n").split("\n")
    assert all(len(line) < columns for line in lines) and any("epoch 1/5   0:00:01" in line for line in lines)
    assert max(i for i, line in enumerate(lines) if "seed 2" in line) < max(
        i for i, line in enumerate(lines) if "2/5" in line
    ), "the job that began first has lost its line"
    assert [line for line in terminal.lines() if line] == ["[1/3] CoOp digits: failed", "3 of 3 runs done, 0:00:09"]


def test_elsewhere_a_plain_line_for_each_run_that_ended(monkeypatch):
    monkeypatch.setattr(sys, "stderr", shown := io.StringIO())
    with progress.progress(2, lambda: "all") as lines:
        lines.draw(lambda: "0 of 1 runs done", lambda: [(job(), "epoch 1/5")])
        lines.job_ended("[1/1] CoOp digits: done in 3 s")
    assert shown.getvalue() == "[1/1] CoOp digits: done in 3 s\n"


def test_time_left_is_told_when_a_like_job_of_each_has_ended():
    known = Durations()
    assert known.left([job()], [], 1) == ""
    known.add(job(seed=1), 60.0)
    known.add(job(seed=2), 120.0)
    assert known.expected(job(seed=3)) == known.expected(job(dataset="shapes")) == 90.0
    assert known.left([job(seed=3)], [(job(seed=4), 30.0)], 1) == "about 2 min left"  # 90 + 60 s
    assert known.left([job(seed=s) for s in range(80)], [], 2) == "about 60 min left"
    assert known.left([job(seed=3), job("CoCoOp")], [], 1) == ""
    assert known.left([], [(job(seed=3), 1e6)], 1) == "about a minute left"
    assert known.left([], [], 1) == ""
