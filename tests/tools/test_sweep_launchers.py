"""Sweeps on a two-machine Ray cluster on loopback, with processes and machines that die, and through submitit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clip_prompts.common.errors import UserError
from clip_prompts.sweep.ray import share
from clip_prompts.sweep.remote import from_environment
from tests.conftest import ROOT
from tests.tools import sweeps
from tools import sweep

pytestmark = pytest.mark.slow

# A dead machine is noticed in seconds; in fewer, one that is only busy would be taken for dead.
QUICK = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 10}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Folder of inputs, and the records of six jobs that the local launcher ran into ``out`` in it."""
    folder = tmp_path_factory.mktemp("launchers")
    sweeps.prepare(folder)
    process = sweeps.start(sweeps.command(folder, folder / "out", "--seeds", "1", "2", "3"))
    assert process.wait(timeout=120) == 0, process.stdout.read()
    records = sweeps.records(folder / "out")
    assert len(records) == 6
    return folder, records


@pytest.fixture
def inputs(undisturbed):
    """The same; ``out`` is empty, at the same path, since records name it."""
    shutil.rmtree(undisturbed[0] / "out", ignore_errors=True)
    return undisturbed


@pytest.fixture(scope="module")
def head():
    """A Ray cluster with one core."""
    pytest.importorskip("ray", reason="needs Ray: pip install ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        arguments = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args={**arguments, "_system_config": QUICK})
        try:
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture
def cluster(head, monkeypatch):
    """With a second machine, also of one core, in ``cluster.second``."""
    head.second = head.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    head.wait_for_nodes(timeout=30)
    monkeypatch.setenv("RAY_ADDRESS", head.address)
    yield head
    if head.second in head.worker_nodes:
        head.remove_node(head.second)


def workers(output: Path) -> dict[int, int]:
    """The processes that train into a folder -> the processes that started them."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"clip_prompts.sweep.remote" in words and str(output).encode() in words:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    return found


def until(condition, seconds=30.0):
    """Wait until it gives something true, and give that."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return value


def training(output: Path) -> dict[int, int]:
    """Of ``workers``, when some of them has begun to train."""
    return workers(output) if any(output.rglob("log.txt")) else {}


def done(output: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in output.rglob("done.json")}


def assert_ends_as(process, output: Path, expected: dict, before: dict) -> str:
    try:
        printed = process.communicate(timeout=400)[0]  # 20 s where nothing else runs
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"it did not end: {process.communicate()[0]}")
    assert process.returncode == 0, printed
    assert sweeps.records(output) == expected
    assert before.items() <= done(output).items(), "a job that was done ran again"
    assert not workers(output)
    return printed


def test_ray_workers_that_are_killed(cluster, inputs):
    """First Ray's process, then, once a job is done, the training run itself."""
    folder, expected = inputs
    output = folder / "out"
    process = sweeps.start(sweeps.command(folder, output, "--seeds", "1", "2", "3", "--launcher", "ray"))
    child, parent = next(iter(until(lambda: training(output)).items()))
    os.kill(parent, signal.SIGKILL)
    until(lambda: child not in workers(output), seconds=2)  # it ends with its parent, so its lock goes
    before = until(lambda: done(output))
    os.kill(next(iter(until(lambda: workers(output)))), signal.SIGKILL)
    printed = assert_ends_as(process, output, expected, before)
    assert printed.count("lost its process") == 2
    assert "raylet" not in printed  # Ray's own words about it


def test_ray_machine_that_dies(cluster, inputs):
    folder, expected = inputs
    output = folder / "out"
    process = sweeps.start(sweeps.command(folder, output, "--seeds", "1", "2", "3", "--launcher", "ray"))
    both = until(lambda: len(found := training(output)) == 2 and found)
    before = done(output)
    cluster.remove_node(cluster.second, allow_graceful=False)  # SIGKILL
    until(lambda: len(workers(output).keys() & both.keys()) < 2, seconds=10)
    printed = assert_ends_as(process, output, expected, before)
    assert "lost its process" in printed and "raylet" not in printed


def test_stopped_ray_sweep_leaves_no_process(cluster, inputs):
    folder, _ = inputs
    output = folder / "out"
    process = sweeps.start(sweeps.command(folder, output, "--seeds", "1", "--launcher", "ray"))
    until(lambda: training(output))
    process.send_signal(signal.SIGTERM)
    assert "the same command continues" in process.communicate(timeout=30)[0]
    assert process.returncode == 143 and not workers(output)


def test_slurm_through_submitit_on_this_machine(inputs, monkeypatch):
    pytest.importorskip("submitit", reason="needs submitit: pip install submitit")
    folder, expected = inputs
    output = folder / "out"
    for name, value in {"SUBMITIT_CLUSTER": "local", "SWEEP_GPUS": "0", "SWEEP_CPUS": "1"}.items():
        monkeypatch.setenv(name, value)
    process = sweeps.start(sweeps.command(folder, output, "--seeds", "1", "--launcher", "slurm"))
    os.kill(next(iter(until(lambda: training(output)))), signal.SIGKILL)
    some = {name: records for name, records in expected.items() if name.endswith("seed1")}
    assert len(some) == 2 and "lost its process" in assert_ends_as(process, output, some, {})


@pytest.mark.parametrize("name, package", [("ray", "ray"), ("slurm", "submitit")])
def test_missing_package(name, package, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert sweep.main(["zeroshot", "--output", str(tmp_path / "out"), "--launcher", name]) == 2
    error = capsys.readouterr().err
    assert f"pip install {package}" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_no_slurm_here(tmp_path, monkeypatch, capsys):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sweep.main(["zeroshot", "--output", str(tmp_path / "out"), "--launcher", "slurm"]) == 2
    error = capsys.readouterr().err
    assert "sbatch" in error and "--launcher local" in error and error.count("\n") == 1


def test_no_ray_at_the_address(tmp_path):
    pytest.importorskip("ray")
    argv = [sys.executable, "tools/sweep.py", "zeroshot", "--output", str(tmp_path), "--launcher", "ray"]
    environment = {**os.environ, "RAY_ADDRESS": "nonsense"}
    process = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert process.returncode == 2, process.stderr
    assert "RAY_ADDRESS=nonsense" in process.stderr.splitlines()[-1] and "Traceback" not in process.stderr


CPU, GPU = {"CPU": 8.0}, {"CPU": 32.0, "GPU": 4.0}


@pytest.mark.parametrize(
    "machines, workers, cpus, gpus, shares",
    [
        ([CPU], 0, None, None, (2, 4, 0)),  # as on this machine alone
        ([CPU, CPU], 0, None, None, (4, 4, 0)),
        ([CPU, CPU], 3, None, None, (3, 4, 0)),  # two on one of them
        ([CPU, CPU], 100, None, None, (100, 1, 0)),  # most of them wait
        ([CPU], 0, 1, None, (8, 1, 0)),
        ([GPU, CPU], 0, None, None, (4, 8, 1)),
        ([GPU], 0, None, 0.5, (8, 4, 0.5)),
        ([GPU], 0, 4, 0, (8, 4, 0)),
        ([{"CPU": 1.0}, {"CPU": 1.0}], 2, None, None, (2, 1, 0)),
        ([{}], 5, None, 1, (5, 1, 1)),  # a cluster that grows when asked
    ],
)
def test_shares_of_a_cluster(machines, workers, cpus, gpus, shares):
    assert share(machines, workers, cpus, gpus) == shares


def test_shares_that_no_machine_has():
    with pytest.raises(UserError, match="16 cores and 0 GPUs"):
        share([CPU], 0, 16, None)


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_resources_that_are_no_numbers(text, monkeypatch):
    monkeypatch.setenv("SWEEP_CPUS", text)
    with pytest.raises(UserError, match=f"SWEEP_CPUS={text}"):
        from_environment("SWEEP_CPUS")
