"""CLIP with learned prompts: p(y|x) = softmax(s * <x, w_y>)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from clip.model import CLIP
from torch import Tensor, nn
from torch.nn.functional import normalize

from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.text_encoder import TextEncoder

from .learners import PromptLearner


def unit(features: Tensor) -> Tensor:
    """Features (..., D) to unit vectors, in float32 whatever the encoder computes in."""
    return normalize(features.float(), dim=-1)


def encode_images(image_encoder: nn.Module, image: Tensor) -> Tensor:
    """Images (B, 3, H, W) to features (B, D); what is features already (see ``features.py``) stays as it is."""
    return image if image.dim() == 2 else image_encoder(image)


class PromptedCLIP(nn.Module):
    """A frozen CLIP whose classifier comes from a prompt learner.

    Methods with other prompts override ``text_features``; methods whose text depends on the image override
    ``forward``.

    Args:
        clip_model: frozen, already in the precision of the run.
        text_encoder: the same model's text side.
        prompt_learner: what is learned.
        image_encoder: the same model's image side, if the caller uses it too.
    """

    def __init__(
        self,
        clip_model: CLIP,
        text_encoder: TextEncoder,
        prompt_learner: nn.Module,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder or ImageEncoder(clip_model.visual)
        self.text_encoder = text_encoder
        self.logit_scale = clip_model.logit_scale
        self.prompt_learner = prompt_learner
        self._static_text: Tensor | None = None
        self._keep_text = False

    def image_features(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W), or their features (B, D), to unit vectors x (B, D)."""
        return unit(encode_images(self.image_encoder, image))

    def text_features(self) -> Tensor:
        """Unit vectors w (C, D) of the learned prompts."""
        learner: PromptLearner = self.prompt_learner
        return unit(self.text_encoder(learner.prompts, learner.contexts())[0])

    def logits(self, x: Tensor, w: Tensor) -> Tensor:
        """s * <x, w>, in float32: unit vectors x (B, D), and w (C, D) or one set an image (B, C, D), to (B, C)."""
        with torch.autocast(x.device.type, enabled=False):
            scale = self.logit_scale.float().exp()
            return scale * x @ w.t() if w.dim() == 2 else scale * (w @ x.unsqueeze(-1)).squeeze(-1)

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W), or their features (B, D), to logits (B, C)."""
        return self.logits(self.image_features(image), self._classifier())

    @contextmanager
    def fixed_prompts(self) -> Iterator[None]:
        """Inside, prompts do not change: text features are computed with the first batch and kept for the others."""
        self._keep_text = True
        try:
            yield
        finally:
            self._keep_text, self._static_text = False, None

    def _classifier(self) -> Tensor:
        if not self._keep_text:
            return self.text_features()
        if self._static_text is None:
            self._static_text = self.text_features()
        return self._static_text
