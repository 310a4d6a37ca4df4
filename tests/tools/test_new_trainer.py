"""A trainer that is a file in trainers/ and a YAML in configs/trainers/ runs in every protocol, with no other edit."""

import json
import os
import shutil
import subprocess
import sys

from tests.conftest import ROOT

PARTS = ("trainers", "configs", "datasets", "scripts", "tools", "clip_prompts")
SWEEP = """
sweep:
  - {protocol: few_shot, datasets: digits}
  - {protocol: base2new, datasets: digits}
  - {protocol: cross_dataset, datasets: digits}
  - {protocol: domain_generalization, datasets: [shapes_sketch, shapes_blur]}
"""
NAME = "AnchoredCoOp"  # the README's example
FOLDERS = {  # below the output folder: what its record holds
    f"digits/{NAME}/tiny_1shots": ("few_shot", "Digits", "all"),
    f"base2new/train_base/digits/shots_1/{NAME}/tiny": ("base2new", "Digits", "base"),
    f"base2new/test_new/digits/shots_1/{NAME}/tiny": ("base2new", "Digits", "new"),
    f"shapes/{NAME}/tiny_1shots": ("few_shot", "Shapes", "all"),
    f"evaluation/shapes/{NAME}/tiny_1shots/digits": ("cross_dataset", "Digits", "all"),
    f"evaluation/shapes/{NAME}/tiny_1shots/shapes_sketch": ("domain_generalization", "ShapesSketch", "all"),
    f"evaluation/shapes/{NAME}/tiny_1shots/shapes_blur": ("domain_generalization", "ShapesBlur", "all"),
}
TITLES = ("Few-shot classification", "Base-to-new generalization", "Cross-dataset transfer from Shapes",
          "Domain generalization from Shapes")  # fmt: skip


def test_a_file_and_a_yaml_run_in_every_protocol(tmp_path):
    """Some 15 s: three short trainings and four evaluations on embedded data, by the program that users call."""
    root, output = tmp_path / "checkout", tmp_path / "out"
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("train.py", "requirements.txt", "engine/pyproject.toml"):
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}

    shutil.copy(ROOT / "tests/examples/my_trainer.py", root / "trainers/anchored_coop.py")
    config = root / f"configs/trainers/{NAME}/tiny.yaml"
    config.parent.mkdir()
    text = (ROOT / "configs/trainers/CoOp/tiny.yaml").read_text()
    config.write_text(text.replace("  COOP:", f"  {NAME.upper()}:").replace("MAX_EPOCH: 50", "MAX_EPOCH: 1"))
    (tmp_path / "all.yaml").write_text(SWEEP.replace("{protocol", f"{{trainers: {NAME}, protocol"))

    command = [sys.executable, "tools/sweep.py", "run", str(tmp_path / "all.yaml"), "--output", str(output)]
    command += ["--seeds", "1", "--shots", "1", "--jobs", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert all(title in done.stdout for title in TITLES) and NAME in done.stdout
    assert {file: file.read_bytes() for file in before} == before

    found = {str(f.parent.parent.relative_to(output)): json.loads(f.read_text()) for f in output.rglob("results.json")}
    assert {folder: (r["protocol"], r["dataset"], r["classes"]) for folder, (r,) in found.items()} == FOLDERS
    assert all(record["trainer"] == NAME and record["seed"] == 1 for (record,) in found.values())
    assert "distance" in (output / f"digits/{NAME}/tiny_1shots/seed1/log.txt").read_text()
