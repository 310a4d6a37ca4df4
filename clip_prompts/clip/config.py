"""Settings of the trainers: what all methods share, and a node for each method's own."""

import os.path as osp
from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer
from yacs.config import CfgNode

from clip_prompts.backbones.loading import check_backbone
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.features.image_features import FEATURES_CONFIG

from .templates import check_template

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


def check_settings(cfg: CfgNode) -> None:
    """Raise UserError for a backbone, file, compiler or template that cannot be used, before data are read."""
    check_backbone(cfg.MODEL.BACKBONE.NAME)
    weights = cfg.MODEL.INIT_WEIGHTS
    if weights and not osp.isfile(weights):
        raise UserError(
            f"MODEL.INIT_WEIGHTS '{weights}' does not exist. Set it to the path of a checkpoint, or to '' for none"
        )
    backend = cfg.TRAINER.get("CLIP", SHARED_CONFIG)["COMPILE"]
    if backend and backend not in (known := torch.compiler.list_backends(exclude_tags=())):
        raise unknown("backend of torch.compile (TRAINER.CLIP.COMPILE)", backend, known)
    if template := cfg.DATASET.get("TEMPLATE", ""):
        check_template(template)


def check_views(cfg: CfgNode, views: int, method: str, has_fixed_features: bool) -> None:
    """Raise UserError unless a run can train on features of random views (FEATURES.TRAIN_VIEWS).

    Args:
        views: their number, not 0. method: its name, for messages. has_fixed_features: as ``CLIPTrainer`` has it.
    """
    if views < 0:
        raise UserError(
            f"FEATURES.TRAIN_VIEWS {views} is below 0. Give a number of views, or 0 for new views in every epoch"
        )
    if cfg.DATALOADER.K_TRANSFORMS != 1:  # before the file: its key does not contain the number
        raise UserError("FEATURES.TRAIN_VIEWS needs one view of an image at a time. Set DATALOADER.K_TRANSFORMS 1")
    if not has_fixed_features:
        raise UserError(
            f"FEATURES.TRAIN_VIEWS is {views}, but {method} learns image features, so they change in training. "
            "Set it to 0"
        )
