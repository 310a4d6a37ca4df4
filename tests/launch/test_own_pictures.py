"""A folder of pictures that no code knows, through the programs that users call, with the embedded backbone."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.datasets.pictures import draw

pytestmark = pytest.mark.slow


def results(folder):
    return json.loads((folder / "results.json").read_text())[-1]


def test_base_to_new_on_a_folder(tmp_path):
    draw(tmp_path / "pictures", 5, seed=0)
    config = tmp_path / "mine.yaml"
    config.write_text('DATASET:\n  NAME: "ImageFolder"\n  ROOT: "pictures"\n')  # from here on
    command = ["bash", str(ROOT / "scripts/base2new.sh"), "CoCoOp", str(config), "tiny"]
    env = {**os.environ, "OUTPUT": str(tmp_path / "out"), "SEEDS": "1", "SHOTS": "2", "VIRTUAL_ENV": sys.prefix}
    env |= {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "DATA": "", "JOBS": "1"}
    settings = ["--set", "OPTIM.MAX_EPOCH", "1"]
    done = subprocess.run([*command, *settings], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for part, classes in (("train_base", "base"), ("test_new", "new")):
        record = results(tmp_path / f"out/base2new/{part}/mine/shots_2/CoCoOp/tiny/MAX_EPOCH-1/seed1")
        assert (record["classes"], record["images"], record["dataset"]) == (classes, 4, "ImageFolder")
        assert 0 <= record["metrics"]["accuracy"] <= 100


@pytest.fixture
def tiny(run):
    """``train.py`` on ImageFolder with the embedded backbone."""

    def call(trainer, *flags, **more):
        config = ROOT / f"configs/trainers/{trainer}/tiny.yaml"
        status = run(trainer, *flags, "--backbone", "tiny", dataset="image_folder", config=config, **more)
        assert status == 0, run.err
        return results(run.out)

    return call


def test_domain_generalization(tiny, run, tmp_path):
    """Learn on one domain, then test what was learned on another: four pictures of each class, none of them seen."""
    folder = tmp_path / "pictures"
    draw(folder / "clean", 6, seed=1, noise=5)
    draw(folder / "noisy", 4, seed=2, noise=90)
    clean = ["--source-domains", "clean", "--target-domains"]
    learned = tiny("CoOp", *clean, "clean", "--root", str(folder), out="learned")
    assert learned["images"] == 8
    load = ["--eval-only", "--model-dir", str(run.out)]
    other = tiny("CoOp", *clean, "noisy", "--root", str(folder), *load, out="other")
    assert other["images"] == 16 and other["settings"]["DATASET"]["TARGET_DOMAINS"] == ["noisy"]
    assert other["hashes"]["train_x"] == learned["hashes"]["train_x"]


def test_cross_dataset_transfer(tiny, run, tmp_path):
    """A prompt learned on one folder is tested on another, of other classes, which has test pictures only."""
    draw(tmp_path / "source", 5, seed=1)
    draw(tmp_path / "target/test", 3, seed=2)
    (tmp_path / "target/test/yellow_sun").rename(tmp_path / "target/test/lemon")
    tiny("CoOp", "--root", str(tmp_path / "source"), out="learned")
    load = ["--eval-only", "--model-dir", str(run.out)]
    assert tiny("CoOp", "--root", str(tmp_path / "target"), *load, out="other")["images"] == 12


def test_a_template_of_the_users(tiny, run, tmp_path):
    draw(tmp_path / "pictures", 5, seed=0)
    root = ["--root", str(tmp_path / "pictures")]
    tiny("ZeroshotCLIP", *root)
    assert "Prompts (1): a photo of a {}.\n" in run.stdout
    other = tiny("ZeroshotCLIP", *root, out="other", DATASET__TEMPLATE="{}: a thing")
    assert "Prompts (1): {}: a thing\n" in run.stdout
    assert other["settings"]["DATASET"]["TEMPLATE"] == "{}: a thing"


def test_a_template_for_every_dataset(run):
    template = "a pet: {}"
    config = ROOT / "configs/trainers/ZeroshotCLIP/vit_b16.yaml"
    assert run("ZeroshotCLIP2", "--eval-only", config=config, DATASET__TEMPLATE=template) == 0
    assert "Prompts (8): " in run.stdout and run.stdout.split("Prompts (8): ")[1].split("\n")[0].endswith(template)


@pytest.mark.parametrize("template", ["a photo.", "a {} of a {}.", "a {0}.", "a {} {x}", "{}}", "a {{}}"])
def test_a_template_without_one_place(template, run):
    assert run("CoOp", DATASET__TEMPLATE=template) == 2
    line = run.err.strip().splitlines()[-1]
    assert line.startswith("Error: ") and template in line and "exactly one {}" in line
