"""The numbers that a training of the tiny CLIP follows. Imports nothing heavy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the weights, besides the rendered world."""

    steps: int = 2000
    batch: int = 256
    pictures: int = 60_000
    seed: int = 1
    lr: float = 1.5e-3
    warmup: int = 150
    weight_decay: float = 0.1
    width: int = 128
    vision_layers: int = 4
    text_layers: int = 3
    patch: int = 8
