"""The words whose token embeddings are nearest to each learned vector.

"Learning to Prompt for Vision-Language Models", IJCV 2022, section 4.3, table 4.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from clip_prompts.backbones.loading import openai
from clip_prompts.common.errors import UserError
from clip_prompts.common.text import printable

CAVEAT = (
    "Distances are Euclidean, between a vector and token embeddings. Read them with care: the nearest words of a good\n"
    "prompt are often unrelated to its task, and vectors inside a layer are not of the same space as words."
)


def nearest_words(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], embedding: Tensor, k: int
) -> dict[str, list[list[tuple[str, float]]]]:
    """Place of some vectors -> per vector the k nearest words with their distances.

    Args:
        config, tensors: of the prompt. embedding: of the backbone's tokens (V, d).

    Places are ``context``, ``context of CLASS`` for class-specific prompts, and ``layer N`` for prompts inside the text
    encoder. Of a conditional prompt it is the context before the image shifts it.

    Raises UserError: the prompt has no vectors among the words.
    """
    found: dict[str, Tensor] = {}
    for name, value in sorted(tensors.items()):
        if name == "ctx" and value.dim() == 3:
            found |= {f"context of {c}": v for c, v in zip(config["classes"]["names"], value, strict=True)}
        elif name == "ctx":
            found["context, before the image shifts it" if not config["method"]["static"] else "context"] = value
        elif name.startswith("text.") and name.endswith(".ctx"):
            found[f"layer {name.split('.')[1]} of the text encoder"] = value
    if not found:
        raise UserError(
            f"{config['method']['name']} learns no vectors in place of words, so there are no nearest words"
        )
    return {place: _nearest(vectors, embedding, k) for place, vectors in found.items()}


def _nearest(vectors: Tensor, embedding: Tensor, k: int) -> list[list[tuple[str, float]]]:
    """Per vector (n, d) the k nearest rows of the embedding (V, d) as words, by rising distance."""
    best = torch.cdist(vectors, embedding).topk(min(k, len(embedding)), dim=1, largest=False)
    return [
        [
            (printable(openai._tokenizer.decode([token]).strip()), distance)
            for token, distance in zip(tokens, distances, strict=True)
        ]
        for tokens, distances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
