"""CLIP with learned prompts: p(y|x) = softmax(s * <x, w_y>)."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from clip.model import CLIP
from torch import Tensor, nn
from torch.nn.functional import normalize

from clip_prompts.common.errors import UserError
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.text_encoder import TextEncoder

from .learners import Learner


class Seen(NamedTuple):
    """Logits and features of one batch: B images, C classes, joint width D.

    Attributes:
        logits: s * <x, w>, float32 (B, C).
        x: image features, unit vectors (B, D).
        w: text features, unit vectors (C, D), or (B, C, D) if they depend on the image.
        image_features: image features before normalization (B, D).
        text_features: text features before normalization, in the shape of w.
        image: the input: images (B, 3, H, W), or features (B, D) if they are fixed.
    """

    logits: Tensor
    x: Tensor
    w: Tensor
    image_features: Tensor
    text_features: Tensor
    image: Tensor


class PromptedCLIP(nn.Module):
    """A frozen CLIP with learned prompts.

    Args:
        clip_model: the frozen CLIP, in the precision of the run.
        text_encoder: text encoder of the same model.
        prompt_learner: gives the prompts, and the arguments of both encoders.
        image_encoder: image encoder of the same model; by default it is made here.
    """

    def __init__(
        self,
        clip_model: CLIP,
        text_encoder: TextEncoder,
        prompt_learner: Learner,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder or ImageEncoder(clip_model.visual)
        self.text_encoder = text_encoder
        self.logit_scale = clip_model.logit_scale
        self.prompt_learner = prompt_learner
        self._fixed_text: Tensor | None = None
        self._prompts_are_fixed = False

    def forward(self, image: Tensor) -> Seen:
        """Turn images (B, 3, H, W), or their features (B, D), into what a loss may need."""
        return self._see(self.encode_image(image), image)

    def logits(self, image: Tensor) -> Tensor:
        """Return the learner's scores (B, C) of images (B, 3, H, W), or of their features (B, D), for evaluation.

        Prompts that depend on the image are encoded for as many images at once as fit into the memory budget.
        """
        features = self.encode_image(image)
        if not self.prompt_learner.is_conditional:
            return self.prompt_learner.scores(self._see(features, image))
        size = self.text_encoder.contexts_at_once(self.prompt_learner.prompts)
        return torch.cat([self.prompt_learner.scores(self._see(part, part)) for part in features.split(size)])

    def parts(self, image: Tensor, label: Tensor) -> list[tuple[Tensor, Tensor, float]]:
        """Split a batch into parts that go forward and backward one after another.

        The loss must be the mean over images, because the gradients of a part are then known without the others. Memory
        holds one part at a time, and nothing is computed twice.

        Args:
            image: (B, 3, H, W), or features (B, D).
            label: (B,).

        Returns:
            For each part: images, or features if nothing learned reaches the image encoder; labels; share of the
                batch, 0 to 1. There is one part unless prompts depend on the image.
        """
        learner, batch = self.prompt_learner, len(label)
        size = self.text_encoder.contexts_per_part(learner.prompts, batch) if learner.is_conditional else batch
        if size < batch and self.image_encoder.is_frozen and not learner.image_inputs():
            image = self.encode_image(image)
        parts = zip(image.split(size), label.split(size), strict=True)
        return [(part, own, len(own) / batch) for part, own in parts]

    def encode_image(self, image: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) to features (B, D), not normalized. Features (B, D) are returned as they are."""
        return image if image.dim() == 2 else self.image_encoder(image, **self.prompt_learner.image_inputs())

    def encode_text(self, x: Tensor | None = None) -> Tensor:
        """Return text features, not normalized: (C, D), or (B, C, D) if they depend on unit image features x (B, D)."""
        learner = self.prompt_learner
        if learner.is_conditional:
            return self.text_encoder(learner.prompts, **learner.text_inputs(x))
        if self._fixed_text is not None:
            return self._fixed_text
        given = learner.text_inputs()
        features = self.text_encoder(learner.prompts, **given)[0]
        if self._prompts_are_fixed or not (given or features.requires_grad):  # nothing learned reaches the text
            self._fixed_text = features
        return features

    @torch.no_grad()
    def classifier(self) -> Tensor:
        """Return unit text features (C, D). An image belongs to the class whose row is most similar to its features.

        Raises:
            UserError: the method classifies in another way; the message says why.
        """
        if self.prompt_learner.is_conditional:
            raise UserError("its text features depend on the image, so no matrix (C, D) classifies all images")
        if not self.prompt_learner.scores_are_logits:
            raise UserError(
                "on the classes of its training a head also classifies, so text features alone give other scores"
            )
        return unit(self.encode_text())

    @contextmanager
    def fixed_prompts(self) -> Iterator[None]:
        """Context in which nothing is learned: text features are computed for the first batch and used again."""
        self._prompts_are_fixed = True
        try:
            yield
        finally:
            self._prompts_are_fixed, self._fixed_text = False, None

    def _see(self, image_features: Tensor, image: Tensor) -> Seen:
        x = unit(image_features)
        text_features = self.encode_text(x)
        w = unit(text_features)
        return Seen(similarity(self.logit_scale, x, w), x, w, image_features, text_features, image)


def check_finite(terms: Mapping[str, float]) -> None:
    """Raise FloatingPointError, with the name of the term, unless all terms of a loss are finite."""
    for name, value in terms.items():
        if not math.isfinite(value):
            of = f" (term '{name}')" if len(terms) > 1 else ""
            raise FloatingPointError(f"Loss is infinite or NaN!{of}")


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the terms of a loss."""
    first, *others = terms.values()
    return sum(others, start=first)


def unit(features: Tensor) -> Tensor:
    """Normalize features (..., D) to unit vectors, in float32."""
    return normalize(features.float(), dim=-1)


def similarity(logit_scale: Tensor, x: Tensor, w: Tensor) -> Tensor:
    """Return logits s * <x, w> (B, C) in float32, from unit vectors x (B, D) and w (C, D) or, per image, (B, C, D)."""
    with torch.autocast(x.device.type, enabled=False):
        scale = logit_scale.float().exp()
        return scale * x @ w.t() if w.dim() == 2 else scale * (w @ x.unsqueeze(-1)).squeeze(-1)
