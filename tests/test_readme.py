"""Every command of the README runs, on a small dataset and for a short time; its example is the tested one."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from clip_prompts.common import environment
from tests.conftest import ROOT
from tests.datasets.pictures import draw

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALLED = not environment.missing("requirements-dev.txt")
SHORT = ["OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "1"]
SMALL_CLIP = ["MODEL.BACKBONE.NAME", "{clip}", "INPUT.SIZE", "(32, 32)", "DATALOADER.NUM_WORKERS", "0"]
# What is added to a command to make it short, by how the command begins. None: it is not run, because it installs.
ADDED = {
    "python3 -m venv": None,
    "source .venv": None,
    "pip install": None,
    "bash scripts/demo.sh": ["--seeds", "1", "--shots", "1", "--set", "OPTIM.MAX_EPOCH", "1"],
    "DATA=/path/to/datasets bash scripts/base2new.sh CoOp oxford_pets": ["--set", *SHORT, *SMALL_CLIP],
    "DATA=/path/to/datasets bash scripts/base2new.sh CoOp,CoCoOp,MaPLe all": ["--dry-run"],
    "python train.py": SHORT,
    **{f"bash scripts/{name}.sh": ["--dry-run"] for name in ("few_shot", "base2new", "cross_dataset")},
    "bash scripts/domain_generalization.sh": ["--dry-run"],
    "bash scripts/base2new.sh MaPLe": ["--set", *SHORT],
    "python tools/report.py output/pictures": [],
    "clip-prompts serve": None,  # it waits for a browser; tests/prompt/test_serve.py opens one
    "python tools/report.py output --verify": ["--help"],  # nothing here has published numbers
    "clip-prompts": [],
}  # fmt: skip


def commands() -> list[str]:
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", README, re.M | re.S)
    return [
        " ".join(line.split()) for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()
    ]


def test_every_command_runs(small, tmp_path):
    """One after the other, since later ones use what earlier ones wrote; then the lines of Python."""
    assert len(commands()) >= 10
    draw(tmp_path / "pictures", 5, seed=0)
    for command in commands():
        start = max((start for start in ADDED if command.startswith(start)), key=len, default=None)
        assert start, f"the README has a command that no test runs: {command}"
        if ADDED[start] is None or (command.startswith("bash scripts/demo.sh") and not INSTALLED):
            continue  # these would install, which needs the network
        run(command, ADDED[start], small, tmp_path)
    assert (tmp_path / "predictions.csv").is_file() and (tmp_path / "my-prompt/prompt_config.json").is_file()
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    code = code.replace("output/first", str(tmp_path / "first"))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"(red|green|blue|orange|yellow|purple|\w+) \w+\n", done.stdout), done


@pytest.mark.skipif(not INSTALLED, reason="the demo would make .venv, which needs the network")
@pytest.mark.parametrize("variables, views", [("", 10), ("VIEWS=0 ", 0)])
def test_the_views_of_the_demo(variables, views, small, tmp_path):
    planned = run(f"{variables}bash scripts/demo.sh --dry-run", [], small, tmp_path)
    assert planned.count(f"/tiny/TRAIN_VIEWS-{views}/seed") == 36


def run(command, added, small, tmp_path):
    for name in ("predictions.csv", "my-prompt", "output/pictures"):
        command = command.replace(f" {name}", f" {tmp_path / name}")
    command = command.replace("/path/to/datasets", str(small)).replace("output/first", str(tmp_path / "first"))
    command = command.replace("/path/to/pictures", str(tmp_path / "pictures"))
    command = command.replace("/path/to/unlabelled", str(tmp_path / "pictures"))
    command = re.sub(r"^clip-prompts ", "python tools/prompt.py ", command)  # the same program
    command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", command)
    # Settings at the end win, so the short ones go last.
    command += " " + shlex.join(part.format(clip=small / "tiny_clip.pt", output=tmp_path / "output") for part in added)
    env = {**os.environ, "OUTPUT": str(tmp_path / "output"), "SEEDS": "1", "VIRTUAL_ENV": sys.prefix, "JOBS": "1"}
    env["BASE_PYTHON"] = "/nowhere/python"  # nothing is ever installed here
    env["PATH"] = f"{os.path.dirname(sys.executable)}:{env['PATH']}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").rglob("*.sh")), ids=lambda p: p.name)
def test_scripts_are_valid_bash(script):
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    if script.name != "setup.sh":
        assert "set -euo pipefail" in script.read_text() and "# Usage: bash scripts/" in script.read_text()
