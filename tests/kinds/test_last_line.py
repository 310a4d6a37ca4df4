"""The last line of a sweep says what happened and what to do, whether its runs fail, are stopped, or are done."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from clip_prompts.sweep import failures, plan, status
from clip_prompts.sweep.job import Job
from clip_prompts.sweep.state import mark_failed, presence, state_of
from tests.conftest import ROOT
from tests.tools import sweeps
from tools import sweep

pytestmark = pytest.mark.slow

AGAIN = "the same command runs what is missing"


def job(name, seed=1, after="", trainer="CoOp"):
    flags = ["--eval-only"] if after else []
    classes = "new" if after else "base"
    return Job("base2new", trainer, "tiny", "digits", classes, 16, seed, name, flags, [], after, key=name)


@pytest.fixture
def failing(tmp_path):
    """A folder of inputs whose runs all fail for the same reason, and the arguments of its sweep."""
    sweeps.prepare(tmp_path)
    return sweeps.command(tmp_path, tmp_path / "out", "--set", "MODEL.BACKBONE.NAME", "nowhere.pt")[2:]


def test_a_sweep_whose_runs_all_fail_ends_with_the_cause_once(failing, capfd):
    argv = [part for part in failing if part != "--no-report"]
    assert sweep.main([*argv, "--seeds", "1", "2"]) == 1
    out, err = capfd.readouterr()
    last = err.splitlines()[-1]
    assert last.startswith("Error: 4 of 4 runs failed: Backbone file 'nowhere.pt' does not exist")
    assert last.endswith(f"; {AGAIN}")
    assert (out + err).count("does not exist") == 1 and "usage:" not in out + err
    assert re.search(r"CoOp mine\S* base, 2 shots, seeds 1 2 \(.*console.txt\)", err)
    assert re.search(r"CoOp mine\S* new, 2 shots, seeds 1 2 \(not run, because the run it loads failed\)", err)


def test_each_of_several_causes_is_named_once_with_the_runs_it_stopped(tmp_path):
    jobs = [job(f"a/seed{s}", s) for s in (1, 2)] + [job(f"t/seed{s}", s, f"a/seed{s}") for s in (1, 2)]
    jobs += [job("b", trainer="CoCoOp"), job("fine", trainer="ZeroshotCLIP")]
    lines = {
        "a/seed1": f"Error: {tmp_path}/a/seed1 holds no images.",
        "a/seed2": f"Error: {tmp_path}/a/seed2 holds no images.",
        "b": "Error: The loss is NaN\x1b[2J",
    }
    for failed in jobs:
        if failed.folder in lines:
            failed.path(tmp_path).mkdir(parents=True)
            mark_failed(failed.path(tmp_path), failed.key, 2, lines[failed.folder])
    text = failures.summary([jobs[4], *jobs[:4]], jobs, tmp_path)
    assert text.count("holds no images") == 1 and text.count("The loss is NaN") == 1 and "\x1b" not in text
    assert "4 runs: " in text and "1 run: " in text
    assert text.splitlines()[-1] == f"Error: 5 of 6 runs failed for the 2 causes above; {AGAIN}"
    shown = status.table(jobs, tmp_path)
    assert shown.count("holds no images") == 1
    assert shown.endswith("6 jobs: 3 failed, 3 waiting; nothing is running; the same command continues")


@pytest.mark.parametrize("code, name", [(130, "interrupted"), (143, "interrupted"), (-9, "interrupted"), (2, "failed")])
def test_status_tells_interrupted_from_failed(code, name, tmp_path):
    one = job("a")
    one.path(tmp_path).mkdir()
    mark_failed(one.path(tmp_path), one.key, code, "stopped by a signal")
    assert state_of(one.path(tmp_path), one.key).name == name
    shown = status.table([one], tmp_path)
    assert shown.endswith(f"1 job: 1 {name}; nothing is running; the same command continues")
    with presence(tmp_path):
        assert "nothing is running" not in status.table([one], tmp_path)


def test_status_lists_the_sweeps_below_a_folder(tmp_path, capsys):
    plan.save([job("a")], tmp_path / "demo")
    assert sweep.main(["status", str(tmp_path)]) == 1
    assert f"{tmp_path / 'demo'}: 1 job: 1 waiting; nothing is running" in capsys.readouterr().out
    assert sweep.main(["status", str(tmp_path / "demo")]) == 1
    assert sweep.main(["status", str(tmp_path / "elsewhere")]) == 2


@pytest.mark.parametrize("field", ["trainer", "dataset", "protocol", "config"])
def test_a_plan_with_a_name_that_drives_the_terminal_is_refused(field, tmp_path, capsys):
    text = json.dumps({"format": 1, "jobs": [{**asdict(job("a")), field: "\x1b[2Jpwn"}]})
    (tmp_path / "sweep.json").write_text(text)
    assert sweep.main(["status", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert not out and "\x1b" not in err and err.startswith("Error: ") and err.count("\n") == 1


@pytest.mark.parametrize("signum, code, name", [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
@pytest.mark.parametrize("moment", ["importing", "running"])
def test_a_stopped_sweep_says_how_to_go_on(signum, code, name, moment, tmp_path):
    sweeps.prepare(tmp_path, epochs=5000)
    process = sweeps.start(sweeps.command(tmp_path, tmp_path / "out", "--seeds", "1"))
    until = time.monotonic() + 60
    file, text = ("sweep.json", "") if moment == "importing" else ("**/log.txt", "epoch [2/")
    while not any(text in f.read_text() for f in (tmp_path / "out").glob(file)) and time.monotonic() < until:
        time.sleep(0.01)
    if moment == "running" and signum == signal.SIGTERM:
        process.send_signal(signum)  # to the sweep alone, as `kill` sends it; the run hears of it through the sweep
    else:
        os.killpg(process.pid, signum)  # to the sweep and its runs, as a terminal does
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == code
    assert "Traceback" not in printed and "KeyboardInterrupt" not in printed
    assert printed.splitlines()[-1] == f"Stopped by {name}; the same command continues"
    states = status.states_of(plan.read(tmp_path / "out"), tmp_path / "out")
    assert {state.name for state in states.values()} <= {"interrupted", "waiting"}
    if moment == "running":
        (console,) = (tmp_path / "out").rglob("console.txt")
        assert re.search(r"Stopped by .*saved in", console.read_text())


def demo(output):
    """The demo's sweep, small: the same program and settings, fewer methods, shots, epochs and seeds."""
    return [
        sys.executable, str(ROOT / "tools/sweep.py"), "base2new", "CoOp,ZeroshotCLIP", "digits", "--jobs", "2",
        "--seeds", "1", "2", "--shots", "2", "--output", str(output),
        "--set", "FEATURES.TRAIN_VIEWS", "3", "OPTIM.MAX_EPOCH", "10",
    ]  # fmt: skip


def test_the_demo_interrupted_at_random_moments_ends_with_the_same_table(tmp_path):
    began = time.monotonic()
    whole = subprocess.run(demo(tmp_path / "whole"), capture_output=True, text=True)
    takes = time.monotonic() - began
    assert whole.returncode == 0, whole.stderr
    seed = random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)
    output = tmp_path / "interrupted"
    for _ in range(2):
        process = sweeps.start(demo(output))
        while not (output / "sweep.json").exists():
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, takes * 0.8))
        os.killpg(process.pid, signal.SIGINT)
        printed = process.communicate(timeout=60)[0]
        assert process.returncode in (0, 130) and "Traceback" not in printed, (seed, printed)
    last = subprocess.run(demo(output), capture_output=True, text=True)
    assert last.returncode == 0, (seed, last.stderr)
    tables = [re.search(r"Base-to-new.*?(?=Logs, )", done.stdout, re.S)[0] for done in (whole, last)]
    assert tables[0] == tables[1], seed
