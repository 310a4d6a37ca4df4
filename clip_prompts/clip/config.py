"""Settings of the trainers: what all methods share, and a node for each method's own."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer
from yacs.config import CfgNode

from clip_prompts.common.errors import unknown
from clip_prompts.features.image_features import FEATURES_CONFIG

# Settings that all methods share (TRAINER.CLIP).
SHARED_CONFIG = {
    "MEMORY_GB": 0.0,  # for the activations of text encoding; 0 is no limit
    "COMPILE": "",  # a backend of torch.compile ("inductor") for both encoders; "": as they are
}
ADAM_EPS = 1e-8  # default of OPTIM.ADAM_EPS, which upstream's Dassl does not have
# Facts that the weights of a backbone do not tell (MODEL.BACKBONE), in the order of ``load_clip``.
BACKBONE_CONFIG = {
    "HEADS": 0,  # attention heads of the image encoder; 0: CLIP's rule, width / 64
    "TEXT_HEADS": 0,  # of the text encoder
    "ACT": "",  # activation: "" or "quickgelu", CLIP's own, or "gelu"
}


def add_config(cfg: CfgNode, node: str, own: Mapping[str, Any]) -> None:
    """Add the shared settings and ``TRAINER.<node>`` with a method's own, with their defaults, to an open config."""
    if "FEATURES" not in cfg:
        cfg.FEATURES = CfgNode(FEATURES_CONFIG)
    if "CLIP" not in cfg.TRAINER:
        cfg.TRAINER.CLIP = CfgNode(SHARED_CONFIG)
    for key, default in BACKBONE_CONFIG.items():
        if key not in cfg.MODEL.BACKBONE:
            cfg.MODEL.BACKBONE[key] = default
    if "ADAM_EPS" not in cfg.OPTIM:
        cfg.OPTIM.ADAM_EPS = ADAM_EPS
    if own:
        cfg.TRAINER[node] = CfgNode(dict(own))


def with_adam_eps(optimizer: Optimizer, settings: CfgNode) -> Optimizer:
    """Set OPTIM.ADAM_EPS, which upstream's Dassl does not read, in an Adam-like optimizer."""
    for group in optimizer.param_groups:
        if "betas" in group:
            group["eps"] = settings.get("ADAM_EPS", ADAM_EPS)
    return optimizer


def check_compiler(backend: str) -> None:
    """Raise UserError unless TRAINER.CLIP.COMPILE is empty or names a backend of ``torch.compile``."""
    if backend and backend not in (known := torch.compiler.list_backends(exclude_tags=())):
        raise unknown("backend of torch.compile (TRAINER.CLIP.COMPILE)", backend, known)
