"""What determines a result: settings and their recipe, versions, hashes of weights and data; and what it cost."""

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from yacs.config import CfgNode

from .config import default_config

_PACKAGES = (
    "torch",
    "torchvision",
    "torchmetrics",
    "clip-anytorch",
    "dassl-engine",
    "dassl",
    "numpy",
    "pillow",
    "scikit-learn",
    "yacs",
)
# Keys (or groups of keys) that do not change what a number means: runs that differ in nothing else share a recipe.
_NO_RECIPE = (
    "SEED",
    "OUTPUT_DIR",
    "RESUME",
    "VERBOSE",
    "USE_CUDA",
    "DATASET.ROOT",
    "DATASET.NAME",
    "DATASET.SUBSAMPLE_CLASSES",
    "DATASET.TARGET_DOMAINS",
    "DATASET.SHOTS_FILE",
    "DATASET.LIST_FILE",
    "DATALOADER.NUM_WORKERS",
    "DATALOADER.PERSISTENT_WORKERS",
    "DATALOADER.DECODED_MB",
    "DATALOADER.TEST.BATCH_SIZE",
    "FEATURES.CACHE",
    "FEATURES.DIR",
    "TRAIN.PRINT_FREQ",
    "TRAIN.CHECKPOINT_FREQ",
    "TRAIN.CHECKPOINT_BATCHES",
    "TRAIN.CHECKPOINT_SECONDS",
    "TRAINER.CLIP.MEMORY_GB",
    "TRAINER.CLIP.COMPILE",
    "TEST.PER_CLASS_RESULT",
    "TEST.COMPUTE_CMAT",
    "TEST.SAVE_PREDICTIONS",
)


def run_facts(trainer, cfg: CfgNode) -> dict:
    """Settings, versions and hashes of a run."""
    dataset = getattr(getattr(trainer, "dm", None), "dataset", None)
    return {
        "trainer": cfg.TRAINER.NAME,
        "dataset": cfg.DATASET.NAME,
        "classes": cfg.DATASET.SUBSAMPLE_CLASSES,
        "shots": cfg.DATASET.NUM_SHOTS,
        "seed": cfg.SEED,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "precision": _precision(trainer),
        "selection": "best epoch on the validation set" if cfg.TEST.FINAL_MODEL == "best_val" else "last epoch",
        "recipe": recipe(cfg),
        "learned": learned_parameters(trainer),
        "hashes": {
            "config": _config_sha256(cfg),
            "backbone": getattr(trainer, "backbone_sha256", None),
            **{part: _list_sha256(getattr(dataset, part, None)) for part in ("train_x", "val", "test")},
        },
        "versions": {"python": platform.python_version(), "code": _git_revision(), **_versions()},
        "settings": json.loads(json.dumps(cfg)),
    }


def recipe(cfg: CfgNode) -> str:
    """SHA-256 over the settings that differ from the defaults, but for those in ``_NO_RECIPE``.

    Seeds, datasets and class subsets of one recipe share it; another backbone, number of shots or epochs is another.
    """
    defaults, own = _flat(default_config()), _flat(cfg)
    changed = {key: value for key, value in own.items() if key not in _NO_RECIPE and defaults.get(key) != value}
    return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()


def learned_parameters(trainer) -> int | None:
    """Number of parameters that the registered models learn; None where the trainer does not say."""
    models = getattr(trainer, "_models", None)
    if models is None:
        return None
    parameters = (p for model in models.values() if model is not None for p in model.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad)


def peak_memory(device: torch.device | None) -> dict[str, float | None]:
    """Most memory so far in MiB: of the process, and that of tensors on its GPU (None without)."""
    on_gpu = device is not None and device.type == "cuda"
    return {
        "process_mib": round(_peak_bytes() / 2**20, 1),
        "cuda_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if on_gpu else None,
    }


def _peak_bytes() -> int:
    try:  # getrusage counts what the process that started this one had
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _precision(trainer) -> str | None:
    precision = getattr(trainer, "precision", None)
    return precision if isinstance(precision, str) else getattr(precision, "name", None)


def _flat(cfg: CfgNode) -> dict:
    """Dotted key -> value, as JSON has it."""
    found = {}

    def walk(node: dict, path: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{path}{key}.")
            else:
                found[f"{path}{key}"] = value

    walk(json.loads(json.dumps(cfg)), "")
    return found


def _config_sha256(cfg: CfgNode) -> str:
    """Of all settings but RESUME: a run that was resumed is the same run."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.RESUME = ""
    return hashlib.sha256(cfg.dump().encode()).hexdigest()


def _list_sha256(items) -> str | None:
    """Hash of a list of images: paths from the dataset's folder on, labels and class names, in order."""
    if not items:
        return None
    folder = os.path.commonpath({os.path.dirname(item.impath) for item in items})
    lines = (f"{os.path.relpath(i.impath, folder)}\t{i.label}\t{i.classname}\n" for i in items)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            pass
    return found | ({"cuda": torch.version.cuda} if torch.cuda.is_available() else {})


def _git_revision() -> str | None:
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
