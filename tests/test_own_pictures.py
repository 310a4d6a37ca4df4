"""Every command of docs/own_pictures.md runs, in turn, on small pictures; its Python example too.

``serve`` and ``push`` are only parsed: the one waits for a browser, see ``prompt/test_serve.py``, the other needs a
network.
"""

import csv
import re
import shlex
import shutil
import sys

import pytest

import train
from clip_prompts.prompt import cli
from tests.conftest import ROOT
from tests.datasets.pictures import draw
from tests.documented import commands, page
from tools import report

pytestmark = pytest.mark.slow

DOC = ROOT / "docs/own_pictures.md"
ONLY_PARSED = ("python tools/prompt.py serve", "python tools/prompt.py push")
PROGRAMS = {"train.py": train.main, "tools/report.py": report.main, "tools/prompt.py": cli.main}
ADDED = {"train.py": ["OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]}  # makes it short


@pytest.mark.parametrize("command", [c for c in commands(page(DOC)) if c.startswith(ONLY_PARSED)])
def test_options_exist(command):
    assert cli.parse(shlex.split(command)[2:]).command in command


def test_every_command_runs(tmp_path, monkeypatch, capsys):
    """One after the other, because later ones use what earlier ones wrote."""
    draw(tmp_path / "pictures", 10, seed=0)
    draw(tmp_path / "drawn", 2, seed=1)
    (tmp_path / "unlabelled").mkdir()
    for path in (tmp_path / "drawn").glob("*/*.png"):
        path.rename(tmp_path / f"unlabelled/{path.parent.name}{path.name}")
    monkeypatch.chdir(tmp_path)
    listed = [c for c in commands(page(DOC)) if not c.startswith(ONLY_PARSED)]
    assert len(listed) >= 7
    for command in listed:
        console = sys.stdout
        status = run(command, tmp_path)
        sys.stdout = console  # a run's log writes to it too
        printed = capsys.readouterr()
        assert status in (0, None), f"{command}\n{printed.out[-3000:]}\n{printed.err[-3000:]}"
        if "report.py" in command:
            assert "CoOp" in printed.out and "ZeroshotCLIP" in printed.out
    with open("output/predictions.csv", newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 8
    assert (tmp_path / "output/predictions.html").read_text().count("<figure>") == 8
    (example,) = re.findall(r"^```python\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.M | re.S)
    shutil.copy(next((tmp_path / "unlabelled").glob("red_ball*")), tmp_path / "picture.jpg")
    exec(example, {})
    assert capsys.readouterr().out.strip() in {"blue box", "green leaf", "red ball", "yellow sun"}


def run(command, folder):
    """The exit status of a command, run in this process."""
    for place in ("pictures", "unlabelled"):
        command = command.replace(f"/path/to/{place}", str(folder / place))
    python, program, *argv = shlex.split(command)
    assert python == "python"
    argv = [str(ROOT / part) if part.startswith("configs/") else part for part in argv]
    return PROGRAMS[program](argv + ADDED.get(program, []))
