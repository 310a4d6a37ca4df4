"""Methods by the name of their rows in tables, with the settings that they are tried with."""

import sys
from pathlib import Path

import pytest
from dassl.engine import TRAINER_REGISTRY

import datasets  # noqa: F401
import train
import trainers  # noqa: F401
from clip_prompts.clip import CLIPTrainer
from tests.conftest import ROOT
from tests.datasets.pictures import draw

OF_BASE = {"DePT": [{"TRAINER__DEPT__BASE": base} for base in ("CoOp", "CoCoOp", "KgCoOp", "MaPLe")]}
VARIANTS = {
    "CoOp": [
        {"TRAINER__COOP__CSC": True, "TRAINER__COOP__CTX_INIT": ""},
        {"TRAINER__COOP__CLASS_TOKEN_POSITION": "middle"},
        {"DATASET__SUBSAMPLE_CLASSES": "base"},
    ]
}


def own_methods() -> list[str]:
    known = ((name, TRAINER_REGISTRY.get(name)) for name in TRAINER_REGISTRY.registered_names())
    return [n for n, cls in known if cls.__module__.startswith("trainers.") and issubclass(cls, CLIPTrainer)]


def cases() -> list[tuple[str, dict]]:
    found = []
    for name in own_methods():
        found += [(name, settings) for settings in OF_BASE.get(name, [{}]) + VARIANTS.get(name, [])]
    return found


def config_of(method: str):
    """The method's own config for the embedded backbone, or any."""
    folder = ROOT / "configs/trainers" / method
    return folder / "tiny.yaml" if (folder / "tiny.yaml").is_file() else ROOT / "configs/trainers/CoOp/tiny.yaml"


@pytest.fixture(scope="session")
def learned(tmp_path_factory) -> Path:
    """Folder with ``pictures`` of four classes and ``run``, the output folder of a prompt learned on them."""
    top = tmp_path_factory.mktemp("served")
    draw(top / "pictures", 10, seed=0)
    console = sys.stdout
    status = train.main([
        "--trainer", "CoOp", "--root", str(top / "pictures"), "--output-dir", str(top / "run"), "--seed", "1",
        "--config-file", str(ROOT / "configs/trainers/CoOp/tiny.yaml"),
        "--dataset-config-file", str(ROOT / "configs/datasets/image_folder.yaml"),
        "OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "3", "DATALOADER.NUM_WORKERS", "0",
    ])  # fmt: skip
    sys.stdout = console
    assert status == 0
    return top
