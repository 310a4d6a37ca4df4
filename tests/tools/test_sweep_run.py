"""Sweeps that run: what is done stays, what failed does not stop the rest, two at once, killed and started again."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import pytest

from clip_prompts.sweep import plan, state
from clip_prompts.sweep.state import state_of
from tests.conftest import ROOT
from tests.tools import sweeps
from tools import sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The README's example trainer and one that does not exist, from base to new classes."""
    output = tmp_path_factory.mktemp("example")
    argv = [
        "base2new", "AnchoredCoOp,Unheard", "digits", str(ROOT / "configs/trainers/CoOp/tiny.yaml"), "--seeds", "0",
        "--shots", "2", "--plugin", str(ROOT / "tests/examples/my_trainer.py"), "--output", str(output),
        "--set", "OPTIM.MAX_EPOCH", "1",
    ]  # fmt: skip
    return output, argv, sweep.main(argv)


def test_example_trainer_runs_from_base_to_new(example):
    output, argv, status = example
    records = {r[-1]["classes"]: r[-1] for r in map(json.loads, (p.read_text() for p in output.rglob("results.json")))}
    assert set(records) == {"base", "new"} and records["new"]["loaded"]["load_epoch"] == 1
    assert all(r["protocol"] == "base2new" and r["seed"] == 0 for r in records.values())
    log = next(output.rglob("train_base/**/log.txt")).read_text()
    assert "distance" in log and "WEIGHT: 8.0" in log and "Finish training" in log


def test_failures_stop_nothing_and_a_second_call_runs_what_is_missing(example, capfd):
    output, argv, status = example
    assert status == 1  # the unknown trainer
    before = {p: p.stat().st_mtime_ns for name in ("results.json", "done.json") for p in output.rglob(name)}
    assert len(before) == 4
    assert sweep.main(argv) == 1
    assert {p: p.stat().st_mtime_ns for p in before} == before
    printed = "".join(capfd.readouterr())
    assert "2 of 4 runs are done already" in printed and printed.count("Unknown trainer 'Unheard'") == 1
    assert sweep.main(["status", str(output)]) == 1
    printed = capfd.readouterr().out
    assert "4 jobs: 2 done, 1 failed, 1 waiting; nothing is running" in printed
    assert printed.count("failed: Unknown trainer 'Unheard'") == 1


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run of one base and one new job, and its folder of inputs."""
    folder = tmp_path_factory.mktemp("done")
    sweeps.prepare(folder)
    argv = sweeps.command(folder, folder / "out", "--seeds", "1")[2:]
    assert sweep.main(argv) == 0
    return folder, argv


@pytest.fixture
def copy(done, tmp_path):
    folder, argv = done
    shutil.copytree(folder / "out", tmp_path / "out")
    again = [str(tmp_path / "out") if part == str(folder / "out") else part for part in argv]
    return tmp_path / "out", again, plan.read(tmp_path / "out")


def test_states(copy):
    output, _, (train, test) = copy
    folder = train.path(output)
    assert state_of(folder, train.key).name == "done" and state_of(folder, "another").name == "interrupted"
    (folder / "done.json").unlink()
    assert state_of(folder, train.key).name == "interrupted"
    state.mark_failed(folder, train.key, 1, "Error: why")
    assert (state_of(folder, train.key).name, state_of(folder, train.key).line) == ("failed", "Error: why")
    with state.lock(folder) as held:
        assert held and state_of(folder, train.key).name == "running"
        with state.lock(folder) as second:
            assert not second
    shutil.rmtree(folder)
    assert state_of(folder, train.key).name == "waiting"


def test_results_without_a_marker_are_not_learned_again(copy):
    """This holds after a kill between record and marker, and after a call of train.py by hand."""
    output, argv, (train, _) = copy
    folder = train.path(output)
    before = json.loads((folder / "results.json").read_text())
    (folder / "done.json").unlink()
    (folder / "job.json").unlink()
    moved = sweeps.records(output)
    assert sweep.main(argv) == 0
    assert (folder / "done.json").is_file() and sweeps.records(output) == moved
    assert json.loads((folder / "results.json").read_text()) == before


def test_what_other_settings_left_is_set_aside(copy):
    output, argv, (train, _) = copy
    folder = train.path(output)
    (folder / "done.json").unlink()
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps(job | {"key": "other"}))
    record = json.loads((folder / "results.json").read_text())
    record[0]["settings"]["OPTIM"]["LR"] = 7.0
    (folder / "results.json").write_text(json.dumps(record))
    assert sweep.main(argv) == 0
    assert state_of(folder, train.key).name == "done"
    (kept,) = folder.glob(".earlier-*/results.json.earlier")
    assert json.loads(kept.read_text())[0]["settings"]["OPTIM"]["LR"] == 7.0
    (new,) = json.loads((folder / "results.json").read_text())
    assert new["settings"]["OPTIM"]["LR"] == record[0]["settings"]["OPTIM"]["LR"] / 3500


def test_again_makes_runs_again_that_are_done(copy):
    output, argv, jobs = copy
    assert sweep.main([*argv, "--again"]) == 0
    for job in jobs:
        (kept,) = job.path(output).glob(".earlier-*/results.json.earlier")
        (old,), (new,) = (json.loads(file.read_text()) for file in (kept, job.path(output) / "results.json"))
        assert old["time"] < new["time"] and old["metrics"] == new["metrics"]
        assert state_of(job.path(output), job.key).name == "done"


def test_a_worker_that_is_called_by_its_folder(copy):
    output, _, (_, test) = copy
    (test.path(output) / "done.json").unlink()
    call = [sys.executable, "-m", "clip_prompts.sweep.worker", str(output)]
    assert subprocess.run([*call, test.folder], cwd=ROOT).returncode == 0
    assert state_of(test.path(output), test.key).name == "done"
    assert subprocess.run([*call, "nowhere"], cwd=ROOT, capture_output=True).returncode == 2


def runs(output):
    """Return how often the training program was started for each folder."""
    return {str(f.parent.relative_to(output)): len(list(f.parent.glob("log.txt*"))) for f in output.rglob("log.txt")}


def test_two_sweeps_at_once_run_nothing_twice(tmp_path):
    sweeps.prepare(tmp_path)
    both = [sweeps.start(sweeps.command(tmp_path, tmp_path / "out", "--seeds", "1", "2")) for _ in range(2)]
    for process in both:
        printed = process.communicate(timeout=120)[0]
        assert process.returncode == 0, printed
    assert set(runs(tmp_path / "out").values()) == {1} and len(runs(tmp_path / "out")) == 4


KILLS = 10


def test_killed_at_random_moments_and_started_again(tmp_path):
    """Fourteen jobs; SIGKILL to the whole process group, ten times; all numbers as if nothing had happened.

    A kill comes a random while after the start, or after a job is under way, or as soon as one has left a checkpoint,
    and earlier where two jobs more than there were kills are done: so every one meets unfinished work. Most of the 40 s
    is imports.
    """
    sweeps.prepare(tmp_path, epochs=10)
    output = tmp_path / "out"
    argv = sweeps.command(tmp_path, output, "--seeds", "1", "2", "3", "4", "5", "6", "7")
    whole = sweeps.start(argv)
    began = time.monotonic()
    while not under_way(output) and whole.poll() is None:
        time.sleep(0.01)
    start_takes = time.monotonic() - began
    assert whole.wait(timeout=300) == 0, whole.stdout.read()
    expected = sweeps.records(output)
    assert len(expected) == 14 and all(len(r) == 1 for r in expected.values())
    job_takes = statistics.mean(json.loads(f.read_text())["seconds"] for f in output.rglob("done.json"))
    shutil.rmtree(output)

    seed = random.SystemRandom().randrange(10**6)
    print(f"random moments of seed {seed}")
    moments = random.Random(seed)
    finished: dict = {}
    struck = 0  # kills that met a job in the middle
    for kill in range(KILLS):
        process = sweeps.start(argv)
        event, most = (
            (lambda: True, start_takes), (lambda: under_way(output), job_takes), (lambda: resumable(output), 0.1)
        )[kill % 3]  # fmt: skip
        wait(process, event, output, kill + 2)
        end = time.monotonic() + moments.uniform(0.0, most)
        wait(process, lambda: time.monotonic() >= end, output, kill + 2)  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        struck += bool(under_way(output))
        for file in output.rglob("*.json"):
            json.loads(file.read_text())  # whole, every one
        now = {f: f.stat().st_mtime_ns for f in output.rglob("done.json")}
        assert finished.items() <= now.items(), f"a job that was done ran again (seed {seed})"
        assert len(now) < len(expected), f"kill {kill} came when all was done (seed {seed})"
        finished = now
    assert struck >= KILLS / 2, f"only {struck} kills met a job (seed {seed})"
    last = sweeps.start(argv)
    printed = last.communicate(timeout=300)[0]
    assert last.returncode == 0, printed
    assert sweeps.records(output) == expected, f"seed {seed}"
    assert finished.items() <= {f: f.stat().st_mtime_ns for f in output.rglob("done.json")}.items()
    logs = [log.read_text() for log in output.rglob("train_base/**/log.txt*")]
    assert any("Found checkpoint at" in log for log in logs), f"no run went on from a checkpoint (seed {seed})"


def under_way(output):
    """Folders of jobs that have begun and are not done."""
    return [f.parent for f in output.rglob("job.json") if not (f.parent / "done.json").exists()]


def resumable(output):
    """Those that have a checkpoint."""
    return [folder for folder in under_way(output) if any(folder.glob("*/checkpoint"))]


def wait(process, event, output, limit):
    """Wait for the event, or until this many jobs are done, while the sweep runs."""
    until = time.monotonic() + 60
    while not event() and len(list(output.rglob("done.json"))) < limit:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)
