"""A method that is a file in trainers/ and a folder in configs/trainers/ runs everywhere, with no other edit."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

PARTS = ("trainers", "configs", "datasets", "scripts", "tools", "clip_prompts")
SWEEP = """
sweep:
  - {trainers: NAME, protocol: few_shot, datasets: digits}
  - {trainers: [CoOp, NAME, ZeroshotCLIP], protocol: base2new, datasets: digits, set: {OPTIM.MAX_EPOCH: 1}}
  - {trainers: NAME, protocol: cross_dataset, datasets: digits}
  - {trainers: NAME, protocol: domain_generalization, datasets: [shapes_sketch, shapes_blur]}
"""
FACTS = """
order: 15 # before CoOp, after ZeroshotCLIP
protocols: [few_shot, base2new, cross_dataset, domain_generalization]
settings:
  - {protocols: [few_shot], most_shots: 1, set: {OPTIM.MAX_EPOCH: 1}}
"""
NAME = "AnchoredCoOp"  # the README's example
FOLDERS = {  # below the output folder: what its record holds, and the epochs
    f"digits/{NAME}/tiny_1shots/MAX_EPOCH-1": ("few_shot", "Digits", "all", 1),
    f"base2new/train_base/digits/shots_1/{NAME}/tiny/MAX_EPOCH-1": ("base2new", "Digits", "base", 1),
    f"base2new/test_new/digits/shots_1/{NAME}/tiny/MAX_EPOCH-1": ("base2new", "Digits", "new", 1),
    f"shapes/{NAME}/tiny_1shots": ("few_shot", "Shapes", "all", 2),
    f"evaluation/shapes/{NAME}/tiny_1shots/digits": ("cross_dataset", "Digits", "all", 2),
    f"evaluation/shapes/{NAME}/tiny_1shots/shapes_sketch": ("domain_generalization", "ShapesSketch", "all", 2),
    f"evaluation/shapes/{NAME}/tiny_1shots/shapes_blur": ("domain_generalization", "ShapesBlur", "all", 2),
}
TITLES = ("Few-shot classification", "Base-to-new generalization", "Cross-dataset transfer from Shapes",
          "Domain generalization from Shapes")  # fmt: skip


def rows(text):
    """The methods in the order in which a report first names them."""
    places = {name: re.search(rf"\b{name}\b", text) for name in ("CoOp", NAME, "ZeroshotCLIP")}
    return sorted(places, key=lambda name: places[name].start())


def test_a_file_and_a_folder_run_in_every_protocol(tmp_path):
    """Some 15 s: four short trainings and seven evaluations on embedded data, by the program that users call."""
    root, output = tmp_path / "checkout", tmp_path / "out"
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("train.py", "requirements.txt", "pyproject.toml", "engine/pyproject.toml"):
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}

    shutil.copy(ROOT / "tests/examples/my_trainer.py", root / "trainers/anchored_coop.py")
    folder = root / f"configs/trainers/{NAME}"
    folder.mkdir()
    text = (ROOT / "configs/trainers/CoOp/tiny.yaml").read_text()
    assert "MAX_EPOCH: 50" in text
    (folder / "tiny.yaml").write_text(
        text.replace("  COOP:", f"  {NAME.upper()}:").replace("MAX_EPOCH: 50", "MAX_EPOCH: 2")
    )
    (folder / "method.yml").write_text(FACTS)
    (tmp_path / "all.yaml").write_text(SWEEP.replace("NAME", NAME))

    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(root), str(ROOT / "engine")])}

    def call(*argv):
        return subprocess.run([sys.executable, *map(str, argv)], cwd=root, env=env, capture_output=True, text=True)

    done = call(
        "tools/sweep.py", "run", tmp_path / "all.yaml", "--output", output, "--seeds", 1, "--shots", 1, "--jobs", 2
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert all(title in done.stdout for title in TITLES) and NAME in done.stdout
    assert {file: file.read_bytes() for file in before} == before

    found = {str(f.parent.parent.relative_to(output)): json.loads(f.read_text()) for f in output.rglob("results.json")}
    own = {folder: record for folder, (record,) in found.items() if record["trainer"] == NAME}
    facts = {f: (r["protocol"], r["dataset"], r["classes"], r["epochs"]["planned"]) for f, r in own.items()}
    assert facts == FOLDERS and all(record["seed"] == 1 for record in own.values())
    assert "distance" in (output / f"digits/{NAME}/tiny_1shots/MAX_EPOCH-1/seed1/log.txt").read_text()

    page = tmp_path / "page.html"
    reports = [call("tools/report.py", output, "--protocol", "base2new", "--format", "csv", "--html", page).stdout]
    reports += [
        call("tools/report.py", output, "--protocol", "base2new", "--format", form).stdout
        for form in ("latex", "markdown")
    ]
    for text in (*reports, page.read_text()):
        assert rows(text) == ["ZeroshotCLIP", NAME, "CoOp"]
    refused = call("tools/sweep.py", "zeroshot", NAME, "digits", "--output", output, "--dry-run")
    assert refused.returncode == 2 and f"{NAME}/method.yml" in refused.stderr
