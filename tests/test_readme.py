"""Every command of the README runs, on a small dataset and for a short time; its example is the tested one."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from clip_prompts.common import environment
from clip_prompts.common.method_facts import read_facts
from tests.conftest import ROOT
from tests.datasets.pictures import draw

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALLED = not environment.missing("requirements-dev.txt")
SHORT = ["OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "1"]
SMALL_CLIP = ["MODEL.BACKBONE.NAME", "{clip}", "INPUT.SIZE", "(32, 32)", "DATALOADER.NUM_WORKERS", "0"]
# What is added to a command to make it short, by how the command begins.
ADDED = {
    "bash scripts/demo.sh": ["--seeds", "1", "--shots", "1", "--set", "OPTIM.MAX_EPOCH", "1"],
    "bash scripts/test.sh": ["--collect-only", "tests/golden"],
    "DATA=/path/to/datasets bash scripts/base2new.sh CoOp": ["--set", *SHORT, *SMALL_CLIP],
    "DATA=/path/to/pictures bash scripts/base2new.sh CoOp": ["--set", *SHORT, *SMALL_CLIP],
    "python train.py": [*SHORT, *SMALL_CLIP],
    "bash scripts/base2new.sh AnchoredCoOp": ["--set", *SHORT],
    **{f"bash scripts/{name}.sh": ["--dry-run"] for name in ("few_shot", "base2new", "cross_dataset")},
    "bash scripts/domain_generalization.sh": ["--dry-run"],
    "python tools/check_method.py": ["--only", "loss"],
    "bash scripts/base2new.sh MaPLe": ["--set", *SHORT],
    "bash scripts/few_shot.sh DePT": ["--set", *SHORT, "--shots", "1"],
    "python tools/sweep.py run": ["--dry-run"],
    "python tools/sweep.py status": ["{output}"],
}


def commands() -> list[str]:
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", README, re.M | re.S)
    return [
        " ".join(line.split()) for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()
    ]


def test_the_example_of_the_readme_is_the_tested_one():
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert example == (ROOT / "tests/examples/my_trainer.py").read_text()
    assert len(example.splitlines()) <= 60


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+)` \|.*\| (.*) \| (all|few-shot) \|$", README, re.M), ids=str)
def test_the_table_of_methods_names_their_files_and_protocols(row):
    name, files, takes_part = row
    facts, four = read_facts(name), ["few_shot", "base2new", "cross_dataset", "domain_generalization"]
    protocols = [protocol for protocol in four if facts.takes_part(protocol)]
    assert protocols == (four if takes_part == "all" else ["few_shot"])
    assert set(re.findall(r"`(.*?)`", files)) == {facts.config(protocol) for protocol in protocols}


def test_the_table_of_methods_has_them_all():
    methods = {file.parent.name for file in (ROOT / "configs/trainers").glob("*/method.yml")}
    with_trainer = {name for name in methods if any(read_facts(name).folder.glob("*.yaml"))}
    assert with_trainer == set(re.findall(r"^\| `(\w+)` \|", README, re.M))


def test_every_folder_of_the_readme_is_there():
    for folder in re.findall(r"^\| `(\w+/)` \|", README, re.M):
        assert (ROOT / folder).is_dir()


def test_every_command_runs(small, tmp_path):
    """One after the other, since later ones use what earlier ones wrote."""
    assert len(commands()) >= 6
    draw(tmp_path / "pictures", 5, seed=0)
    for command in commands():
        start = max((start for start in ADDED if command.startswith(start)), key=len, default=None)
        assert start, f"the README has a command that no test runs: {command}"
        if command.startswith(("bash scripts/demo.sh", "bash scripts/test.sh")) and not INSTALLED:
            continue  # these two would make .venv, which needs the network
        run(command, ADDED[start], small, tmp_path)


@pytest.mark.skipif(not INSTALLED, reason="the demo would make .venv, which needs the network")
@pytest.mark.parametrize("variables, views", [("", 10), ("VIEWS=0 ", 0)])
def test_the_views_of_the_demo(variables, views, small, tmp_path):
    planned = run(f"{variables}bash scripts/demo.sh --dry-run", [], small, tmp_path)
    assert planned.count(f"/tiny/TRAIN_VIEWS-{views}/seed") == 36


def run(command, added, small, tmp_path):
    command = command.replace("/path/to/datasets", str(small)).replace("--load-epoch 50", "--load-epoch 1")
    command = command.replace("/path/to/pictures", str(tmp_path / "pictures"))
    command = command.replace("output/pets", str(tmp_path / "pets")).replace("output/own", str(tmp_path / "own"))
    command = command.replace(" my_trainer.py", f" {ROOT / 'tests/examples/my_trainer.py'}")
    command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", command)
    # Settings at the end win, so the short ones go last.
    command += " " + shlex.join(part.format(clip=small / "tiny_clip.pt", output=tmp_path / "output") for part in added)
    env = {**os.environ, "OUTPUT": str(tmp_path / "output"), "SEEDS": "1", "VIRTUAL_ENV": sys.prefix, "JOBS": "1"}
    env["BASE_PYTHON"] = "/nowhere/python"  # nothing is ever installed here
    env["PATH"] = f"{os.path.dirname(sys.executable)}:{env['PATH']}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True)
    # Some of what was started here is left out of the status's folder: it says so with 1.
    assert done.returncode in ((0, 1) if " status" in command else (0,)), (
        f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").rglob("*.sh")), ids=lambda p: p.name)
def test_scripts_are_valid_bash(script):
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    if script.name != "setup.sh":
        assert "set -euo pipefail" in script.read_text() and "# Usage: bash scripts/" in script.read_text()
