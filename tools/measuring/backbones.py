"""CLIP in the shape of OpenAI's models, with random weights; ImageNet's class names."""

import torch
from clip.model import CLIP, convert_weights
from torchvision.models._meta import _IMAGENET_CATEGORIES

from common.errors import UserError, unknown

_TOKENS = 49408
# Joint width D; image size, layers, width and patch; text width d, heads and layers.
SHAPES = {
    "tiny": (128, 32, 4, 128, 8, 128, 2, 3),
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 512, 8, 12),
    "RN101": (512, 224, (3, 4, 23, 3), 64, None, 512, 8, 12),
    "RN50x4": (640, 288, (4, 6, 10, 6), 80, None, 640, 10, 12),
    "RN50x16": (768, 384, (6, 8, 18, 8), 96, None, 768, 12, 12),
    "RN50x64": (1024, 448, (3, 15, 36, 10), 128, None, 1024, 16, 12),
    "ViT-B/32": (512, 224, 12, 768, 32, 512, 8, 12),
    "ViT-B/16": (512, 224, 12, 768, 16, 512, 8, 12),
    "ViT-L/14": (768, 224, 24, 1024, 14, 768, 12, 12),
    "ViT-L/14@336px": (768, 336, 24, 1024, 14, 768, 12, 12),
}


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
