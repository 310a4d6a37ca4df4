"""Names of version 0.1 and of upstream's CoOp, for plug-ins that import them; those of 0.1 go in version 0.3."""

import torch.nn.functional as F
from clip.model import CLIP
from yacs.config import CfgNode

from clip_prompts.backbones.loading import load_clip

from .templates import IMAGENET, SELECTED
from .trainer import CLIPTrainer

IMAGENET_TEMPLATES_SELECT = list(SELECTED)
IMAGENET_TEMPLATES = list(IMAGENET)


class PromptTrainer(CLIPTrainer):
    """``CLIPTrainer`` that minimizes the cross-entropy of the labels."""

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}


def load_clip_to_cpu(cfg: CfgNode) -> CLIP:
    """Load the backbone that ``MODEL.BACKBONE`` names, as upstream's function of this name does: on the CPU."""
    own = cfg.MODEL.BACKBONE
    return load_clip(own.NAME, own.get("HEADS", 0), own.get("TEXT_HEADS", 0), own.get("ACT", "")).requires_grad_(True)
