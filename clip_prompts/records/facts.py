"""Facts of a run for its record: what happened, and what determined the result."""

import hashlib
import json
import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from .identity import Identity, digest, installed_version, is_of_training, plain
from .image_lists import images_per_class, list_sha256
from .settings import IRRELEVANT_SETTINGS, RUN_SETTINGS
from .sources import dataset_of
from .stored_identity import facts_of

_PACKAGES = (
    "torch", "torchvision", "clip-anytorch", "dassl-engine", "dassl", "numpy", "pillow", "scikit-learn",
    "yacs",
)  # fmt: skip
OWN_PICTURES = "ImageFolder"  # the dataset that reads a user's own folder


def training_facts(trainer, cfg: CfgNode, determines: dict, config_file: str | None, recipe: str) -> dict:
    """Facts of a training that its checkpoints carry, so that a program that loads one knows its training data.

    Args:
        determines: of the run's identity. config_file: path of the method's YAML file, or None. recipe: see
            :func:`recipe`.
    """
    items = getattr(dataset_of(trainer), "train_x", None) or []
    return {
        **_names(cfg),
        "shots": cfg.DATASET.NUM_SHOTS,
        "seed": cfg.SEED,
        "config": Path(config_file).stem if config_file else None,
        "recipe": recipe,
        "images": images_per_class(items),
        "epochs": getattr(trainer, "max_epoch", cfg.OPTIM.MAX_EPOCH),
        "schedule": schedule_of(cfg) if any(getattr(trainer, "_optims", {}).values()) else "",
        "parameters": learned_shapes(trainer),
        "training": {key: value for key, value in plain(cfg).items() if is_of_training(key)},
        "test": list_sha256(determines.get("data.test")),
    }


def _names(cfg: CfgNode) -> dict[str, str]:
    own = cfg.DATASET
    return {"trainer": cfg.TRAINER.NAME, "dataset": own.NAME, "label": label_of(cfg), "classes": own.SUBSAMPLE_CLASSES}


def schedule_of(cfg: CfgNode) -> str:
    """The schedule of the learning rate in words: "cosine from 0.002 over 50 epochs, 1 of them warm-up"."""
    own = cfg.OPTIM
    warm_up = f", {own.WARMUP_EPOCH} of them warm-up ({own.WARMUP_TYPE})" if own.WARMUP_EPOCH > 0 else ""
    return f"{own.NAME}, {own.LR_SCHEDULER} from {own.LR:g} over {own.MAX_EPOCH} epochs{warm_up}"


def label_of(cfg: CfgNode) -> str:
    """The name of the data in tables: ``DATASET.LABEL``, or the folder's name of own pictures, or the dataset's."""
    if label := cfg.DATASET.get("LABEL", ""):
        return label
    if cfg.DATASET.NAME == OWN_PICTURES:
        return os.path.basename(os.path.realpath(os.path.expanduser(cfg.DATASET.ROOT)))
    return cfg.DATASET.NAME


def run_facts(trainer, cfg: CfgNode, identity: Identity, weights: list[dict]) -> dict:
    """Settings, versions and hashes that determined a run's result; those of the training if it loads a model.

    Args:
        weights: of the models that an evaluation loads, see ``loaded.py``; [] for a run that trains.
    """
    shapes = learned_shapes(trainer)
    if weights:
        trained = facts_of(weights[0]["identity"])
    else:
        trained = identity.facts if shapes else {}
    # A run that was resumed is the same run.
    config = hashlib.sha256(CfgNode({**cfg, "RESUME": ""}).dump().encode())
    settings = json.loads(json.dumps(cfg))
    for key, value in trained.get("training", {}).items():
        if is_of_training(key):  # a checkpoint may say anything
            _put(settings, key.split("."), value)
    data = {part: list_sha256(identity.lists.get(f"data.{part}")) for part in ("train_x", "val", "test")}
    seed, precision = trained.get("seed") if weights else None, getattr(trainer, "precision", None)
    return {
        "identity": identity.sha256,
        **_names(cfg),
        "shots": trained.get("shots"),
        "images_trained_on": trained.get("images"),
        "seed": cfg.SEED if seed is None else seed,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "precision": precision if isinstance(precision, str) else getattr(precision, "name", None),
        "recipe": identity.facts["recipe"],
        "learned": None if shapes is None else sum(math.prod(entry["shape"]) for entry in shapes),
        "parameters": shapes,
        "schedule": trained.get("schedule"),
        "hashes": {"config": config.hexdigest(), "backbone": getattr(trainer, "backbone_sha256", None), **data},
        "unreadable": list(getattr(dataset_of(trainer), "unreadable", None) or []),
        "versions": {"python": platform.python_version(), "code": _git_revision(), **_versions()},
        "settings": settings,
    }


def _put(tree: Any, path: list[str], value: object) -> None:
    """Set a value in a tree of settings; one that the tree lacks, or of another kind, is skipped."""
    for part in path[:-1]:
        tree = tree.get(part)
        if not isinstance(tree, dict):
            return
    known = tree.get(path[-1])
    if type(value) is type(known) or (isinstance(value, int | float) and isinstance(known, int | float)):
        tree[path[-1]] = value


def recipe(cfg: CfgNode, defaults: CfgNode) -> str:
    """SHA-256 over the settings that differ from the defaults and change what a number means.

    Seeds, datasets and class subsets of one recipe share it; another backbone, number of shots or epochs is another.
    """
    defaults, own = plain(defaults), plain(cfg)
    left_out = IRRELEVANT_SETTINGS | RUN_SETTINGS
    changed = {key: value for key, value in own.items() if key not in left_out and defaults.get(key) != value}
    return digest(changed)


def learned_shapes(trainer) -> list[dict] | None:
    """Name, shape and kind of every learned parameter; None if the trainer does not say.

    ``class_specific``: whether each class has its own, as the model says; None if it does not say.
    """
    models = getattr(trainer, "_models", None)
    if models is None:
        return None
    return [
        {"name": f"{name}.{parameter}", "shape": list(value.shape), "class_specific": of_class}
        for name, model in models.items()
        if model is not None
        for of_class in [getattr(model, "class_specific", None)]
        for parameter, value in model.named_parameters()
        if value.requires_grad
    ]


def _versions() -> dict[str, str]:
    found = {package: installed_version(package) for package in _PACKAGES}
    found["cuda"] = torch.version.cuda if torch.cuda.is_available() else None
    return {name: version for name, version in found.items() if version}


def _git_revision() -> str | None:
    root = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
