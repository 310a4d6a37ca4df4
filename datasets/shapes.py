"""Shapes: rendered pictures of coloured shapes, and shifted variants of its test part."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data import GeneratedDataset

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "arrow")
# Pairs with an even sum of indices come first. So the first half (base) and the second half (new) have no class in
# common but share all colours and all shapes: new classes are new pairs of words that base classes showed apart.
CLASSES = tuple(
    f"{colour} {shape}"
    for parity in (0, 1)
    for i, colour in enumerate(COLOURS)
    for j, shape in enumerate(SHAPES)
    if (i + j) % 2 == parity
)
IMAGES = {"train": 20, "val": 6, "test": 24}  # a class


def draw(part: str, variant: str) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield all pictures of a part ("train", "val", "test"): file name, label and pixels, uint8 (32, 32, 3).

    ``variant`` is one of ``paper_cutouts.VARIANTS``. A picture depends on part, label and number only.
    """
    from clip_prompts.data.rendering.paper_cutouts import draw_cutout

    for label, name in enumerate(CLASSES):
        colour, shape = name.split()
        for number in range(IMAGES[part]):
            stream = (list(IMAGES).index(part), label, number)
            yield f"{part}/{colour}_{shape}_{number:02d}.png", label, draw_cutout(colour, shape, variant, stream)


@DATASET_REGISTRY.register()
class Shapes(GeneratedDataset):
    """42 classes of 20/6/24 pictures (train/val/test), 32 x 32 pixels: painted card on paper, see ``paper_cutouts``.

    Written as PNG files on first use, always the same ones. Base: 21 classes; new: 21 classes.
    """

    dataset_dir = "shapes"
    split_file = "split_Shapes.json"
    template = "a photo of a {}."
    variant = "plain"

    def generate(self, folder: Path) -> dict[str, list]:
        from PIL import Image

        rows = {}
        for part in ("test",) if self.test_only else IMAGES:
            (folder / part).mkdir()
            rows[part] = []
            for file, label, pixels in draw(part, self.variant):
                Image.fromarray(pixels).save(folder / file, compress_level=1)
                rows[part].append((file, label, CLASSES[label]))
        return rows


class ShiftedShapes(Shapes):
    """The test scenes of Shapes under a shift; test-only, for domain generalization."""

    test_only = True


@DATASET_REGISTRY.register()
class ShapesSketch(ShiftedShapes):
    """Coloured pencil outlines on the same papers."""

    dataset_dir = "shapes_sketch"
    split_file = "split_ShapesSketch.json"
    variant = "sketch"


@DATASET_REGISTRY.register()
class ShapesNoise(ShiftedShapes):
    """The pictures of Shapes with strong grain and dead pixels."""

    dataset_dir = "shapes_noise"
    split_file = "split_ShapesNoise.json"
    variant = "noise"


@DATASET_REGISTRY.register()
class ShapesInverted(ShiftedShapes):
    """The pictures of Shapes with light and dark exchanged; every hue stays."""

    dataset_dir = "shapes_inverted"
    split_file = "split_ShapesInverted.json"
    variant = "inverted"


@DATASET_REGISTRY.register()
class ShapesBlur(ShiftedShapes):
    """The pictures of Shapes, out of focus."""

    dataset_dir = "shapes_blur"
    split_file = "split_ShapesBlur.json"
    variant = "blur"
