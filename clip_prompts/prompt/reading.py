"""Reads pictures as the run that learned the prompt read its images, with the engine."""

from collections.abc import Callable
from typing import Any

from dassl.utils import read_image
from PIL import Image

try:
    from dassl.utils import load_image
except ImportError:  # upstream's Dassl reads pictures in one way only

    def load_image(path: Any, as_viewed: bool = False) -> Image.Image:
        return path.convert("RGB") if isinstance(path, Image.Image) else read_image(path)


def reader_of(as_viewed: bool) -> Callable[[Any], Image.Image]:
    """A function from a path or a PIL image to a PIL image in RGB; ``as_viewed``: turned as its EXIF data say."""
    return lambda picture: load_image(picture, as_viewed=as_viewed)
