"""Runs that are killed at random moments end as if nothing had happened: the short form of ``kill.py``."""

import re
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT
from tests.faults.outcome import differences

pytestmark = pytest.mark.slow


def test_killed_runs_end_as_the_undisturbed_one():
    """Four kills: two runs of a method whose loader has workers, two of one that has none."""
    command = [sys.executable, str(ROOT / "tests/faults/kill.py"), "--kills", "4", "--cases", "FixMatch, 0", "CoOp, 2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 kills struck a run at work; all ended the same" in done.stdout
    struck = [int(count) for count in re.findall(r"workers +\d+\.\ds +(\d+) ", done.stdout)]
    assert struck == [2, 2]


def test_a_last_bit_is_a_difference():
    a = {"x": torch.ones(2), "y": [1.0, {"z": "text"}]}
    assert differences(a, {"x": torch.ones(2), "y": [1.0, {"z": "text"}]}) == []
    assert differences(a, {"x": torch.ones(2), "y": [1.0 + 2**-52, {"z": "text"}]}) == ["/y/0"]
    assert differences(a, {"x": torch.nextafter(torch.ones(2), torch.zeros(2)), "y": [1.0]}) == ["/x", "/y"]
    assert differences(a, {"x": torch.ones(2).double(), "w": 1}) == ["/x", "/y (missing)", "/w (missing)"]
