"""The plugin on an engine that has nothing but upstream's names and config keys."""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.terminal import Terminal

pytestmark = pytest.mark.slow

PROGRAM = ROOT / "tests/launch/contract_only.py"


@pytest.fixture(scope="module")
def call(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract_only")

    def call(trainer, config, out, *more, **streams):
        return subprocess.run(
            [
                sys.executable, str(PROGRAM), "--trainer", trainer, "--seed", "1", "--output-dir", str(folder / out),
                "--dataset-config-file", str(ROOT / "configs/datasets/digits.yaml"),
                "--config-file", str(ROOT / f"configs/trainers/{config}/tiny.yaml"), *more,
                "DATASET.NUM_SHOTS", "1", "DATASET.SUBSAMPLE_CLASSES", "base", "OPTIM.MAX_EPOCH", "2",
            ],
            **(streams or {"capture_output": True}), text=True, timeout=300,
        )  # fmt: skip

    call.folder = folder
    return call


@pytest.mark.parametrize("trainer", ("CoOp", "CoCoOp", "ZeroshotCLIP", "LinearProbe"))
def test_trainers_run(trainer, call):
    ended = call(trainer, trainer, trainer, *(["--eval-only"] if trainer == "ZeroshotCLIP" else []))
    assert ended.returncode == 0, ended.stderr
    first = ended.stdout.splitlines()[0]
    assert first.startswith("without ") and "dassl.utils.UserError" in first and "DATALOADER.DECODED_MB" in first
    record = json.loads((call.folder / trainer / "results.json").read_text())[-1]
    assert record["metrics"]["accuracy"] > 0 and record["cost"]["test_images_per_second"] > 0
    learns = trainer in ("CoOp", "CoCoOp")  # step by step
    assert ((record["cost"]["step_seconds"] or 0) > 0) == learns
    if trainer == "CoOp":
        again = call(trainer, trainer, "again", "--eval-only", "--model-dir", str(call.folder / trainer))
        assert again.returncode == 0, again.stderr
        assert json.loads((call.folder / "again/results.json").read_text())[-1]["loaded"]["load_epoch"] is None


def test_a_terminal_shows_a_row_per_epoch_there_too(call):
    terminal = Terminal(80)
    assert call("CoOp", "CoOp", "shown", stdout=terminal.stream, stderr=terminal.stream).returncode == 0
    lines = terminal.lines()
    assert [line.split()[0] for line in lines if re.match(r" *\d/2 ", line)] == ["1/2", "2/2"]
    assert any(line.startswith("accuracy  ") for line in lines)


def test_what_needs_our_engine_says_so_in_one_line(call):
    ended = call("CoOp", "CoOp", "keys", "DATALOADER.DECODED_MB", "1")
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert "'DATALOADER.DECODED_MB'" in line and "pip install ./engine" in line


def test_mistakes_are_one_line_there_too(call):
    ended = call("CoOP", "CoOp", "typo")
    assert ended.returncode == 2
    assert "Did you mean 'CoOp'?" in ended.stderr and len(ended.stderr.strip().splitlines()) == 1
