"""Programs answer --help at once, and a Python without the packages gets one line that says what to do."""

import resource
import subprocess
import sys

import pytest

from common import environment
from tests.conftest import ROOT

FILES = [ROOT / "train.py", *sorted((ROOT / "tools").glob("*.py"))]
PROGRAMS = [str(file.relative_to(ROOT)) for file in FILES if file.stem not in ("__init__", "config_docs")]


def call(*argv):
    return subprocess.run([sys.executable, *argv], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_takes_less_than_a_second_of_cpu(program):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = call(program, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and done.stdout.startswith("usage:")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("argv", [["train.py", "--trainer", "CoOp"], ["tools/sweep.py", "status"], ["tools/data.py"]])
def test_a_python_without_packages_gets_one_line(argv):
    done = call("-S", *argv)  # -S: without site-packages
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: {sys.executable} lacks ") and "torch" in line
    assert "bin/activate" in line or "pip install -r requirements.txt" in line


def test_versions_are_compared_by_number(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: True)
    versions = {"torch": "2.10.0+cpu", "setuptools": "81.0.1", "yacs": "0.1.8", "tqdm": "4.9"}
    monkeypatch.setattr(environment.importlib.metadata, "version", versions.get)
    asked = ("torch>=2.4", "setuptools>=65,<81", "yacs>=0.1.8", "tqdm>=4.60")
    assert [environment._is_met(requirement) for requirement in asked] == [True, False, True, False]
