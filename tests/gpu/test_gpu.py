"""``scripts/gpu.sh`` with small cases on the CPU, and what becomes of cases that fail."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
import torch

from measuring.trainers import learning_methods
from tests.conftest import ROOT
from tests.gpu import cases, epoch
from tests.gpu.__main__ import main
from tests.gpu.golden import GOLDEN, Golden
from tests.gpu.run import Case, run

COMMAND = "bash scripts/gpu.sh --device cpu --small"
SMALL = ["--device", "cpu", "--small"]


@pytest.fixture(autouse=True)
def _threads():
    """The program sets the number of threads of its process, which is this one here."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def read(folder):
    content = json.loads((folder / "gpu.json").read_text())
    return {(case["part"], case["name"]): case for case in content["cases"]}, (folder / "gpu.md").read_text()


@pytest.mark.integration
def test_all_parts_run_small_on_a_cpu(tmp_path):
    assert COMMAND in (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path, "VIRTUAL_ENV": sys.prefix}
    command = [*COMMAND.split(), "--minutes", "60", str(tmp_path)]  # the machine may be busy
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found, text = read(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"gpu.json", "gpu.md"}
    assert len(found) == 1 + 2 + 6 * len(learning_methods()) + 1
    assert {case["status"] for case in found.values()} == {"ok"}
    for name in learning_methods():
        numbers = found["steps", f"{name}, 6 classes, fp32"]["numbers"]
        assert numbers["ms a step"] > 0 and numbers["loss vs plain"] < 1e-5 and numbers["gradient vs plain"] < 1e-4
        assert f"| {name}, 12 classes, fp16 " in text
    assert found["golden", "kgcoop_ctxv1_base_seed1"]["numbers"]["loss"] <= 6e-4
    (last,) = (case for (part, _), case in found.items() if part == "epoch")
    assert last["numbers"]["steps done"] == last["numbers"]["steps"] == 8
    assert re.search(rf"{len(found)} ok, \d+ s\.", text)


@pytest.mark.integration
def test_a_case_that_fails_is_named_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def measure(self, method, classes, precision, left):
        if method == "MaPLe":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        return {"ms a step": 1.5}

    monkeypatch.setattr(cases.Steps, "measure", measure)
    assert main([*SMALL, "--parts", "steps", "--", str(tmp_path)]) == 1
    found, text = read(tmp_path)
    failed = {name for (_, name), case in found.items() if case["status"] == "FAILED"}
    assert failed == {f"MaPLe, {c} classes, {p}" for c in (6, 12) for p in ("fp32", "bf16", "fp16")}
    assert "FAILED OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB" in text
    assert f"{len(found) - 6} ok, 6 FAILED" in capsys.readouterr().out


def test_a_case_past_the_end_is_skipped():
    late = Case("steps", "late", lambda left: {"left": left})
    assert run(late, time.monotonic() - 1).status == "skipped"
    assert run(late, time.monotonic() + 60).numbers["left"] == pytest.approx(60, abs=5)
    waits = Case("steps", "waits", late.call, leaves=100)
    assert run(waits, time.monotonic() + 60).status == "skipped"


@pytest.mark.parametrize("change, reason", [(0.0, None), (0.001, "a loss differs by 0.001")])
def test_a_golden_case_fails_with_another_loss(change, reason, tmp_path, monkeypatch):
    case = GOLDEN["coop_ctx16_end_seed1"]
    losses = [case["loss"][0] + change, *case["loss"][1:]]
    steps = [f"epoch [1/3] loss {loss:.4f} (0) lr {lr:.4e} eta 0" for loss, lr in zip(losses, case["lr"], strict=True)]
    log = "\n".join([*steps, *(f"* {key}: {value}%" for key, value in case["result"].items())])
    (tmp_path / "deep_clip.pt").touch()
    monkeypatch.setattr(Golden, "_run", lambda self, name: log)
    if reason is None:
        assert Golden(tmp_path, "cuda").compare("coop_ctx16_end_seed1", 60)["loss"] < 1e-4
    else:
        with pytest.raises(AssertionError, match=reason):
            Golden(tmp_path, "cuda").compare("coop_ctx16_end_seed1", 60)


def test_an_epoch_that_was_stopped_is_scaled_up():
    line = "epoch [1/1] batch [{}/16000] time 0.012 (0.010) data 0.000 (0.001) loss 6.9 (6.9)\n"
    found = epoch.times(line.format(50) + line.format(100))
    assert (found["steps done"], found["s an epoch"], found["ms a step"]) == (100, 160, 10)
    with pytest.raises(RuntimeError, match="the time was over after no steps"):
        epoch.times("Loading CLIP\n")


def test_without_a_gpu_it_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("Error: PyTorch finds no GPU here.")
    assert not (tmp_path / "out").exists()


def test_bad_input_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([*SMALL, "--parts", "golden", "--", str(tmp_path / "file")]) == 2
    assert re.fullmatch(r"Error: .*file.*\. Choose another OUT\n", capsys.readouterr().err)
    with pytest.raises(SystemExit) as stop:
        main(["--device", "cpu"])
    assert stop.value.code == 2 and "add --small" in capsys.readouterr().err
