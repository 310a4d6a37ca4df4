"""In which order a sweep starts its runs: short ones are left for the end, where they fill gaps."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from clip_prompts.records.sources import look
from clip_prompts.sweep import evidence
from clip_prompts.sweep.job import Job
from clip_prompts.sweep.launcher import Launcher
from clip_prompts.sweep.local import LocalLauncher
from clip_prompts.sweep.run_jobs import run_jobs
from clip_prompts.sweep.state import mark_done

pytestmark = pytest.mark.integration

SECONDS = {"long": 100.0, "short": 2.0, "middle": 30.0}


class Instant(Launcher):
    """Runs nothing: jobs are done at the next look, and say that they took what their dataset says."""

    def __init__(self, output: Path, workers: int = 0) -> None:
        self.output, self.workers = output, workers or 1
        self.order: list[str] = []
        self._ended: list[Job] = []

    def start(self, jobs):
        for job in jobs:
            folder = job.path(self.output)
            folder.mkdir(parents=True)
            (folder / "results.json").write_text(json.dumps([{"split": "test"}]))
            sources = {"folders": [], "files": []}
            (folder / "sources.json").write_text(json.dumps(sources | {"look": look(sources)}))
            mark_done(folder, job.key, SECONDS[job.dataset], evidence.take(job, self.output))
            self.order.append(job.folder)
        self._ended += jobs

    def ended(self):
        ended, self._ended = self._ended, []
        return [(job, 0) for job in ended]

    def stop(self):
        pass


def job(dataset, seed, after=""):
    folder = f"{dataset}{seed}" + ("_test" if after else "")
    classes, flags = ("new", ["--eval-only"]) if after else ("base", [])
    return Job("base2new", "CoOp", "tiny", dataset, classes, 1, seed, folder, flags, [], after, key=folder)


def order_of(jobs, output, workers=1):
    launcher = Instant(output, workers)
    assert run_jobs(jobs, output, launcher) == []
    return launcher.order


def test_each_kind_once_then_the_longest(tmp_path):
    jobs = [job(dataset, seed) for dataset in SECONDS for seed in (1, 2, 3)]
    order = order_of(jobs, tmp_path)
    assert order == ["long1", "short1", "middle1", "long2", "long3", "middle2", "middle3", "short2", "short3"]


def test_workers_show_different_kinds(tmp_path):
    """The second worker does not repeat what the first is just about to show."""
    jobs = [job(dataset, seed) for dataset in SECONDS for seed in (1, 2, 3)]
    order = order_of(jobs, tmp_path, workers=2)
    assert order == ["long1", "short1", "middle1", "long2", "long3", "middle2", "middle3", "short2", "short3"]


def test_runs_of_one_kind_run_beside_each_other(tmp_path):
    assert order_of([job("long", 1), job("long", 2)], tmp_path, workers=2) == ["long1", "long2"]


def test_runs_of_an_earlier_sweep_count(tmp_path):
    order_of([job(dataset, 1) for dataset in SECONDS], tmp_path)
    jobs = [job(dataset, seed) for dataset in ("short", "middle", "long") for seed in (1, 2)]
    assert order_of(jobs, tmp_path) == ["long2", "middle2", "short2"]


def test_nothing_is_started_before_what_it_waits_for(tmp_path):
    jobs = [job("short", 1, after="short1"), job("short", 1), job("long", 1, after="long1"), job("long", 1)]
    order = order_of(jobs, tmp_path)
    assert sorted(order) == sorted(j.folder for j in jobs)
    assert all(order.index(f"{name}_test") > order.index(name) for name in ("short1", "long1"))


def test_the_local_launcher_waits_for_a_run_and_not_for_the_clock(monkeypatch):
    launcher = LocalLauncher.__new__(LocalLauncher)
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.2,))
    monkeypatch.setattr(time, "sleep", lambda seconds: waits.append(seconds))
    waits = []
    launcher._running = {}
    launcher.wait(0.1)
    assert waits == [0.1]  # nothing runs here: another sweep does what is left
    process.start()
    launcher._running = {"short1": (job("short", 1), process, "")}
    launcher.wait(60)
    process.join()
    assert waits == [0.1] and launcher.ended() == [(job("short", 1), 0)] and launcher._running == {}
