"""PromptSRC the plain way."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .ivlp import IVLP
from .network import unit


class PromptSRC(IVLP):
    """IVLP, held near the frozen CLIP: cross-entropy + L1 distances of both features + KL(p0 || p) / C.

    The text features of the frozen CLIP are the mean over many templates, which the caller gives as ``w0``.
    """

    def terms(self, seen, label):
        x0 = seen.image
        if x0.dim() == 4:
            with torch.no_grad():
                x0 = self.clip.visual(x0.to(self.clip.dtype))
        x0 = unit(x0)
        p0 = self.similarity(x0, self.w0).softmax(dim=1)
        log_p = seen.logits.log_softmax(dim=1)
        return super().terms(seen, label) | {
            "text": self.settings.TEXT_LOSS_WEIGHT * (seen.w - self.w0).abs().mean(),
            "image": self.settings.IMAGE_LOSS_WEIGHT * (seen.x - x0).abs().mean(),
            "logits": (p0 * (p0.log() - log_p)).mean(),
        }


def aggregated(epochs: Sequence[Mapping[str, Tensor]], mean: float, std: float) -> dict[str, Tensor]:
    """Prompts at the end of each epoch to their sum, with weights proportional to N(epoch; mean, std) and sum 1."""
    heights = [math.exp(-0.5 * ((e - mean) / std) ** 2) for e in range(1, len(epochs) + 1)]
    return {
        name: sum(h / sum(heights) * epoch[name] for h, epoch in zip(heights, epochs, strict=True))
        for name in epochs[0]
    }
