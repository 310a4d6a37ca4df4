"""CLIP with learned prompts: p(y|x) = softmax(s * <x, w_y>)."""

from collections.abc import Iterator
from contextlib import contextmanager

from clip.model import CLIP
from torch import Tensor, nn
from torch.nn.functional import normalize

from .prompts import PromptLearner
from .text_encoder import TextEncoder


class PromptedCLIP(nn.Module):
    """A frozen CLIP whose classifier comes from a prompt learner.

    Methods with other prompts override ``text_features``; methods whose text depends on the image override
    ``forward``.

    Args:
        clip_model: frozen, already in the precision of the run.
        text_encoder: the same model's text side.
        prompt_learner: what is learned.
    """

    def __init__(self, clip_model: CLIP, text_encoder: TextEncoder, prompt_learner: nn.Module) -> None:
        super().__init__()
        self.image_encoder = clip_model.visual
        self.text_encoder = text_encoder
        self.logit_scale = clip_model.logit_scale
        self.dtype = clip_model.dtype
        self.prompt_learner = prompt_learner
        self._static_text: Tensor | None = None
        self._keep_text = False

    def image_features(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) to unit vectors x (B, D)."""
        return normalize(self.image_encoder(image.to(self.dtype)), dim=-1)

    def text_features(self) -> Tensor:
        """Unit vectors w (C, D) of the learned prompts."""
        learner: PromptLearner = self.prompt_learner
        return normalize(self.text_encoder(learner.prompts, learner.contexts())[0], dim=-1)

    def logits(self, x: Tensor, w: Tensor) -> Tensor:
        """s * x * w^T: unit vectors (B, D) and (C, D) to (B, C)."""
        return self.logit_scale.exp() * x @ w.t()

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, C)."""
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
