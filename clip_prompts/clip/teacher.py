"""The frozen CLIP as a teacher: the same encoders, without what is learned."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.prompt_set import PromptSet
from clip_prompts.encoders.text_encoder import TextEncoder
from clip_prompts.features.text_features import TextFeatures

from .precision import Precision
from .templates import fill
from .tokens import tokenize


class Teacher:
    """Computes text and image features of the frozen CLIP, with the encoders of the run. It draws no random numbers.

    Args:
        text_encoder: text encoder of the run.
        image_encoder: image encoder of the run.
        precision: precision of the run.
        kept: cache of text features on disk.
    """

    def __init__(
        self, text_encoder: TextEncoder, image_encoder: ImageEncoder, precision: Precision, kept: TextFeatures
    ) -> None:
        self.text_encoder, self.image_encoder, self.precision, self.kept = text_encoder, image_encoder, precision, kept

    @torch.no_grad()
    def text_features(self, template: str | Sequence[str], classnames: Sequence[str]) -> Tensor:
        """Return text features (C, D), not normalized.

        Args:
            template: text with ``{}`` for the class name. With several templates, their features are averaged.
            classnames: C names.

        Raises:
            UserError: a text has more than 77 tokens, the most that CLIP reads.
        """
        texts = [fill(one, classnames) for one in ([template] if isinstance(template, str) else template)]

        def encode() -> Tensor:
            with self.precision.autocast():
                if len(texts) == 1:
                    return encode_texts(self.text_encoder, texts[0], classnames)
                first, *others = (encode_texts(self.text_encoder, text, classnames).float() for text in texts)
                return sum(others, start=first) / len(texts)

        return self.kept.of(texts, encode).to(self.text_encoder.positional_embedding.device)

    @torch.no_grad()
    def image_features(self, image: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) to features (B, D), not normalized. Features are returned as they are."""
        if image.dim() == 2:
            return image
        with self.precision.autocast():
            return self.image_encoder(image)


def encode_texts(encoder: TextEncoder, texts: Sequence[str], names: Sequence[str]) -> Tensor:
    """Return features (C, D) of one plain text per class, not normalized."""
    device = encoder.positional_embedding.device
    return encoder(PromptSet(tokenize(texts, names), encoder.embed).to(device))[0]
