"""The content of ``prompt_config.json``: what a trained method is, in plain values."""

import math
from pathlib import Path
from typing import Any

import torch
from clip.simple_tokenizer import default_bpe
from yacs.config import CfgNode

from clip_prompts.backbones.loading import TINY, openai
from clip_prompts.backbones.structure import architecture
from clip_prompts.clip.config import BACKBONE_CONFIG
from clip_prompts.common.contents import content_hashes
from clip_prompts.records.identity import installed_version, settings_of
from clip_prompts.records.results_file import FILE as RECORDS
from clip_prompts.records.results_file import read_records

from . import NAME, VERSION

# Hugging Face's names of OpenAI's models, for the card.
_HUB_IDS = {
    "ViT-B/32": "openai/clip-vit-base-patch32", "ViT-B/16": "openai/clip-vit-base-patch16",
    "ViT-L/14": "openai/clip-vit-large-patch14", "ViT-L/14@336px": "openai/clip-vit-large-patch14-336",
}  # fmt: skip
_COPIED = ("dataset", "label", "classes", "shots", "seed", "config", "recipe", "protocol", "schedule", "precision")


def describe(trainer: Any, tensors: dict[str, torch.Tensor], record: dict | None = None) -> dict[str, Any]:
    """Describe a trained method.

    Args:
        trainer: a ``CLIPTrainer``, built. tensors: what it has learned, see ``names.learned_tensors``.
        record: of its last test, from ``results.json``; None if there is none.

    Returns:
        The content of ``prompt_config.json`` without ``files``, see ``schema.json``.
    """
    cfg, learner, dataset = trainer.cfg, trainer.learner, trainer.dm.dataset
    record = record or {}
    prompt = _prompt(trainer, tensors)
    return {
        "format": {"name": NAME, "version": VERSION},
        "method": {
            "name": cfg.TRAINER.NAME,
            "static": not learner.is_conditional,
            "classes": "any" if trainer.READS_NAMES and not prompt["class_specific"] else "fixed",
            "image_encoder": "frozen" if trainer.has_fixed_features else "prompted",
        },
        "base_model": base_model(cfg.MODEL.BACKBONE, trainer.backbone_sha256),
        "architecture": architecture(trainer.clip_model),
        "tokenizer": {"name": "clip-bpe", "vocabulary_sha256": vocabulary_sha256()},
        "preprocess": _preprocess(cfg, dataset),
        "prompt": prompt,
        "classes": {"names": list(dataset.classnames)},
        "logit": {
            "scale": float(trainer.clip_model.logit_scale.detach().float().exp()),
            "bias": None, "normalize": True, "activation": "softmax",
        },
        "training": _training(cfg, record),
        "results": _results(record),
        "license": None,
        "citation": None,
    }  # fmt: skip


def base_model(settings: CfgNode, sha256: str) -> dict[str, object]:
    """The backbone: where its weights come from, and their hash. For a user's own file, only the name is stored.

    Args:
        settings: of MODEL.BACKBONE. sha256: of the file with the weights.
    """
    known = next((known for known, url in openai._MODELS.items() if url.split("/")[-2] == sha256), None)
    if settings.NAME == TINY:
        found = {"source": "embedded", "name": TINY}
    elif known is not None:
        found = {"source": "openai", "name": known, "pretrained": "openai"}
    else:
        found = {"source": "file", "name": Path(settings.NAME).name}
    facts = {key.lower(): settings.get(key, default) for key, default in BACKBONE_CONFIG.items()}
    return {**found, "hub_id": _HUB_IDS.get(known or ""), "revision": None, "sha256": sha256, "structure": facts}


def vocabulary_sha256() -> str:
    """SHA-256 of the file with the words of CLIP's tokenizer."""
    return content_hashes([default_bpe()])[0]


def _preprocess(cfg, dataset) -> dict[str, object]:
    """Return the preprocessing of a picture file: open_clip's keys, ``instance_norm``, ``as_viewed``."""
    own = cfg.INPUT
    normalizes = "normalize" in own.TRANSFORMS
    items = getattr(dataset, "test", None) or [dataset]
    return {
        "size": list(own.SIZE), "mode": "RGB", "interpolation": own.INTERPOLATION, "resize_mode": "shortest",
        "fill_color": 0, "mean": list(own.PIXEL_MEAN) if normalizes else [0.0] * 3,
        "std": list(own.PIXEL_STD) if normalizes else [1.0] * 3,
        "instance_norm": "instance_norm" in own.TRANSFORMS,
        "as_viewed": any(getattr(item, "as_viewed", False) for item in items[:1]),
    }  # fmt: skip


def _prompt(trainer, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The layout of a prompt around any class name, in words, and the method's settings, which decide it."""
    settings = dict(trainer.cfg.TRAINER.get(type(trainer).__name__.upper(), {}))
    context = tensors.get("ctx")
    layers = {side: [int(name.split(".")[1]) for name in tensors if name.startswith(f"{side}.")] for side in _SIDES}
    return {
        "n_ctx": None if context is None else context.shape[-2],
        "ctx_init": settings.get("CTX_INIT", ""),
        "class_token_position": settings.get("CLASS_TOKEN_POSITION", "end"),
        "class_specific": context is not None and context.dim() == 3,
        "name_rule": "underscores become spaces",
        "depth": {side: max(found) + 1 if found else 0 for side, found in layers.items()},
        "template": trainer.template(),
        "given_template": trainer.cfg.DATASET.get("TEMPLATE", ""),
        "settings": settings,
    }


_SIDES = ("text", "visual")


def _training(cfg, record: dict) -> dict[str, Any]:
    """Return how the prompt was learned. Settings that hold paths are skipped."""
    found = {name: record.get(name) for name in _COPIED if record.get(name) is not None}
    hashes = record.get("hashes") or {}
    shown = {name: hashes[name] for name in ("train_x", "val", "test") if hashes.get(name)}
    packages = ("clip-prompts", "torch", "torchvision", "clip-anytorch")
    return {
        "dataset": cfg.DATASET.NAME,
        "classes": cfg.DATASET.SUBSAMPLE_CLASSES,
        **found,
        "epochs": (record.get("epochs") or {}).get("run"),
        "lists_sha256": shown,
        "identity": record.get("identity"),
        "seconds": record.get("train_seconds"),
        "memory": record.get("memory"),
        "learned": record.get("learned"),
        "settings": settings_of(cfg),
        "versions": {name: version for name in packages if (version := installed_version(name))},
    }


def _results(record: dict) -> list[dict[str, object]]:
    """The results of a test, one entry per metric."""
    shared = {name: record.get(name) for name in ("protocol", "dataset", "label", "classes", "split", "selection")}
    metrics = record.get("metrics") or {}
    known = {name: value for name, value in metrics.items() if isinstance(value, int | float) and math.isfinite(value)}
    return [{**shared, "metric": name, "value": value, "n": record.get("images")} for name, value in known.items()]


def last_test(folder: Path) -> dict | None:
    """The record of the last test in an output folder, of the runs that trained; None if there is none."""
    records = [r for r in read_records(folder / RECORDS) or [] if isinstance(r, dict) and r.get("split") == "test"]
    own = [record for record in records if not record.get("loaded")]
    return own[-1] if own else None
