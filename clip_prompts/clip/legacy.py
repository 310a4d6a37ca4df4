"""Names of version 0.1 and of upstream's CoOp, for plug-ins that import them; those of 0.1 go in version 0.3."""

import warnings

import torch.nn.functional as F
from clip.model import CLIP
from yacs.config import CfgNode

from clip_prompts.backbones.loading import load_clip

from .templates import SELECTED
from .trainer import CLIPTrainer

IMAGENET_TEMPLATES_SELECT = list(SELECTED)


def __getattr__(name: str) -> list[str]:
    if name != "IMAGENET_TEMPLATES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "IMAGENET_TEMPLATES holds the 7 selected templates here, not CLIP's 80. A method that averages over all 80 "
        "must bring its own list",
        stacklevel=2,
    )
    return list(SELECTED)


class PromptTrainer(CLIPTrainer):
    """``CLIPTrainer`` that minimizes the cross-entropy of the labels."""

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}


def load_clip_to_cpu(cfg: CfgNode) -> CLIP:
    """Load the backbone that ``MODEL.BACKBONE`` names, as upstream's function of this name does: on the CPU."""
    own = cfg.MODEL.BACKBONE
    return load_clip(own.NAME, own.get("HEADS", 0), own.get("TEXT_HEADS", 0), own.get("ACT", "")).requires_grad_(True)
