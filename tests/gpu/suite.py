"""The tests that need a GPU, in a process of their own."""

import os
import re
import subprocess
import sys

from tests.conftest import ROOT


def gpu_tests(device: str, left: float) -> dict:
    """Run them; their counts by outcome. Raises RuntimeError if one fails, or if there is no pytest."""
    files = sorted(str(file) for file in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in file.read_text())
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-o", "addopts=", "-q", "-rf", "-m", "gpu", *files]
    command += ["-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | hidden, capture_output=True, text=True, timeout=left)
    lines = done.stdout.strip().splitlines()
    counts = {
        kind: int(count)
        for count, kind in re.findall(r"(\d+) (passed|failed|skipped|errors?)", lines[-1] if lines else "")
    }
    if done.returncode:
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        raise RuntimeError("; ".join(failed) or (done.stderr.strip().splitlines() or lines or ["no output"])[-1])
    return counts
