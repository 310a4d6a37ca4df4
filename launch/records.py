"""``results.json``: every evaluation of a run in full precision, with all that determines it."""

import datetime
import hashlib
import json
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from yacs.config import CfgNode

FILE = "results.json"
_PACKAGES = (
    "torch",
    "torchvision",
    "clip-anytorch",
    "dassl-engine",
    "dassl",
    "numpy",
    "pillow",
    "scikit-learn",
    "yacs",
)


def record_evaluations(trainer, cfg: CfgNode, checkpoint: dict | None = None) -> None:
    """Make every later ``trainer.test()`` add a record to ``OUTPUT_DIR/results.json``.

    Works on any trainer and evaluator of Dassl: it listens to what ``evaluator.evaluate()`` returns.

    Args:
        trainer: a built trainer. cfg: its frozen config.
        checkpoint: what ``--eval-only`` loads, {"model_dir", "load_epoch"}.
    """
    evaluate, test = trainer.evaluator.evaluate, trainer.test
    metrics: dict = {}
    facts: dict = {}
    trained = bool(trainer.get_model_names()) and checkpoint is None

    def listening_evaluate():
        found = evaluate()
        metrics.clear()
        metrics.update({name: float(value) for name, value in found.items()})
        return found

    def recording_test(split=None):
        started = time.time()
        result = test(split)
        split = split or cfg.TEST.SPLIT
        if split == "val" and trainer.val_loader is None:
            split = "test"
        loader = trainer.val_loader if split == "val" else trainer.test_loader
        if not facts:  # once, and not while the user waits for the first batch
            facts.update(run_facts(trainer, cfg, checkpoint))
        tests_last_epoch = split == "val" or cfg.TEST.FINAL_MODEL != "best_val"
        record = {
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "split": split,
            "epoch": trainer.epoch + 1 if trained and tests_last_epoch else None,
            "images": len(loader.dataset),
            "seconds": time.time() - started,
            "metrics": dict(metrics),
            **facts,
        }
        append_record(Path(cfg.OUTPUT_DIR) / FILE, record)
        return result

    trainer.evaluator.evaluate = listening_evaluate
    trainer.test = recording_test


def run_facts(trainer, cfg: CfgNode, checkpoint: dict | None) -> dict:
    """What determines a result: settings, versions, and hashes of code, weights and data."""
    dataset = getattr(getattr(trainer, "dm", None), "dataset", None)
    return {
        "trainer": cfg.TRAINER.NAME,
        "dataset": cfg.DATASET.NAME,
        "classes": cfg.DATASET.SUBSAMPLE_CLASSES,
        "shots": cfg.DATASET.NUM_SHOTS,
        "seed": cfg.SEED,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "selection": "best epoch on the validation set" if cfg.TEST.FINAL_MODEL == "best_val" else "last epoch",
        "loaded": checkpoint,
        "hashes": {
            "config": hashlib.sha256(cfg.dump().encode()).hexdigest(),
            "backbone": getattr(trainer, "backbone_sha256", None),
            **{part: _list_sha256(getattr(dataset, part, None)) for part in ("train_x", "val", "test")},
        },
        "versions": {"python": platform.python_version(), "code": _git_revision(), **_versions()},
        "settings": json.loads(json.dumps(cfg)),
    }


def append_record(path: Path, record: dict) -> None:
    """Add a record to the JSON list in ``path``, atomically; a file that is not such a list is kept as ``.broken``."""
    records = read_records(path)
    if records is None:
        os.replace(path, path.with_suffix(".json.broken"))
        records = []
    part = path.with_name(path.name + f".{os.getpid()}.part")
    part.write_text(json.dumps([*records, record], indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def read_records(path: Path) -> list[dict] | None:
    """The records of a file: [] if there is none, None if it is not a JSON list."""
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        return None
    return records if isinstance(records, list) else None


def _list_sha256(items) -> str | None:
    """Hash of a list of images: paths from the dataset's folder on, labels and class names, in order."""
    if not items:
        return None
    folder = os.path.commonpath([os.path.dirname(item.impath) for item in items])
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
