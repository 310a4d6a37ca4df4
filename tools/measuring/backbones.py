"""CLIP in the shape of OpenAI's models, with random weights; ImageNet's class names."""

import torch
from clip.model import CLIP, convert_weights
from torchvision.models._meta import _IMAGENET_CATEGORIES

from clip_prompts.common.errors import UserError, unknown
from measuring.setting import SHAPES

_TOKENS = 49408


def random_clip(name: str, stored: bool = False) -> CLIP:
    """A frozen CLIP with random weights, fp32, or in OpenAI's stored precision (half where they have half).

    Raises:
        UserError: unknown backbone.
    """
    if name not in SHAPES:
        raise unknown("backbone", name, SHAPES)
    joint, size, layers, width, patch, text_width, heads, text_layers = SHAPES[name]
    torch.manual_seed(0)
    model = CLIP(joint, size, layers, width, patch, 77, _TOKENS, text_width, heads, text_layers)
    if stored:
        convert_weights(model)
    return model.eval().requires_grad_(False)


def class_names(count: int) -> list[str]:
    """``count`` names of ImageNet's 1,000 classes, evenly spread.

    Raises:
        UserError: fewer than 1 or more than 1,000.
    """
    names = list(_IMAGENET_CATEGORIES)
    if not 1 <= count <= len(names):
        raise UserError(f"--classes {count} is not between 1 and {len(names)}, the number of ImageNet's classes")
    return [names[i * len(names) // count] for i in range(count)]
