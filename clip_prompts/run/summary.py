"""The facts of a run in a few lines, for a terminal."""

import inspect
import math
import os
import textwrap
from collections.abc import Iterable
from typing import Any

from yacs.config import CfgNode

from clip_prompts.backbones.loading import is_of_openai
from clip_prompts.common.text import one_line, printable
from clip_prompts.records.facts import label_of, learned_shapes, schedule_of
from clip_prompts.records.sources import dataset_of

LABEL = 10  # width of the first column
MOST_LINES = 2  # of a fact
_KEPT = "\xa0"  # a space at which no line is broken
_SAID = {"OUTPUT_DIR", "DATASET.ROOT", "RESUME", "TRAINER.NAME", "MODEL.BACKBONE.NAME"}  # elsewhere, or a place


def table(facts: Iterable[tuple[str, str]], width: int) -> str:
    """Returns a line for each (label, fact).

    A fact of one line is wrapped, and cut after ``MOST_LINES``; one of several lines (commands) is left as it is.
    """
    lines = []
    for label, fact in facts:
        parts = [printable(line) for line in fact.splitlines()]
        if len(parts) == 1:
            parts = textwrap.wrap(
                parts[0], width - LABEL - 1, break_on_hyphens=False, break_long_words=False,
                max_lines=MOST_LINES, placeholder=" ...",
            )  # fmt: skip
        lines += [f"{'' if i else label:{LABEL}}{part}" for i, part in enumerate(parts)]
    return "\n".join(lines).replace(_KEPT, " ")


def of_settings(cfg: CfgNode, trainer: type | None, config_file: str | None, changed: dict[str, Any]) -> list:
    """Facts that are known before anything is built.

    Args:
        trainer: class of the method, or None. changed: setting -> value, of what the command line changes.
    """
    title = one_line((inspect.cleandoc(trainer.__doc__ or "").splitlines() or [""])[0].rstrip(".")) if trainer else ""
    shown = [f"{key}{_KEPT}{value}" for key, value in changed.items() if key not in _SAID]
    return [
        ("method", cfg.TRAINER.NAME + (f": {title}" if title else "")),
        ("config", config_file or "none, so all settings have their defaults"),
        ("changed", ", ".join(shown) or "nothing"),
    ]


def of_trainer(trainer, cfg: CfgNode, trains: bool) -> list:
    """Facts about data, backbone and what is learned, of a built trainer."""
    return [
        ("data", _data(trainer, cfg, trains)),
        ("backbone", _backbone(trainer, cfg)),
        ("learned", _learned(trainer)),
        *([("training", _training(cfg))] if trains and any(getattr(trainer, "_optims", {}).values()) else []),
    ]


def of_output(cfg: CfgNode, log: str, trains: bool) -> list:
    """Facts about the files of a run. ``log``: path of its log file."""
    drawn = trains and cfg.TRACKER == "tensorboard"
    curves = f"\ntensorboard --logdir {os.path.join(cfg.OUTPUT_DIR, 'tensorboard')}" if drawn else ""
    return [("output", cfg.OUTPUT_DIR), ("watch", f"tail -f {log}{curves}")]


def _data(trainer, cfg: CfgNode, trains: bool) -> str:
    dataset, own = dataset_of(trainer), cfg.DATASET
    names = {"train_x": "training", "train_u": "unlabelled", "val": "validation"} if trains else {}
    sizes = {name: len(getattr(dataset, part, None) or []) for part, name in {**names, "test": "test"}.items()}
    images = ", ".join(f"{size:,} {name}" for name, size in sizes.items() if size)
    classes = getattr(trainer, "num_classes", None)
    parts = [f"{classes:,} classes" + (f" ({own.SUBSAMPLE_CLASSES})" if own.SUBSAMPLE_CLASSES != "all" else "")]
    parts += [f"{own.NUM_SHOTS} shot{'s' * (own.NUM_SHOTS != 1)}"] if trains and own.NUM_SHOTS > 0 else []
    return f"{label_of(cfg)}: {', '.join(parts if classes else parts[1:])}" + (f"; {images} images" if images else "")


def _backbone(trainer, cfg: CfgNode) -> str:
    size, device = cfg.INPUT.SIZE, getattr(trainer, "device", None)
    precision = getattr(getattr(trainer, "precision", None), "name", None)
    sha256 = getattr(trainer, "backbone_sha256", None)
    weights = f" (weights {sha256[:12]})" if sha256 and not is_of_openai(sha256) else ""
    computes = " ".join(map(str, filter(None, [precision, f"on {device}" if device else ""])))
    return f"{cfg.MODEL.BACKBONE.NAME}{weights}, {size[0]} x {size[1]} pixels" + (f", {computes}" if computes else "")


def _learned(trainer) -> str:
    shapes = learned_shapes(trainer)
    if not shapes:
        return "nothing" if shapes == [] else "the trainer does not say"
    numbers = sum(math.prod(entry["shape"]) for entry in shapes)
    names = [f"{e['name'].partition('.')[2]} ({' x '.join(map(str, e['shape'])) or '1'})" for e in shapes]
    listed = ", ".join(name.replace(" ", _KEPT) for name in names)
    return f"{numbers:,} parameters in {len(shapes)} tensor{'s' * (len(shapes) != 1)}: {listed}"


def _training(cfg: CfgNode) -> str:
    return f"{schedule_of(cfg)}; batch size {cfg.DATALOADER.TRAIN_X.BATCH_SIZE}"
