"""Reads picture files as the run that learned the prompt read its images, with the engine."""

from collections.abc import Callable

from dassl.utils import read_image
from PIL import Image

try:
    from dassl.utils import load_image
except ImportError:  # upstream's Dassl reads pictures in one way only
    load_image = None


def reader_of(as_viewed: bool) -> Callable[[str], Image.Image]:
    """A function from a path to a PIL image in RGB; ``as_viewed``: turned as its EXIF data say."""
    if as_viewed and load_image is not None:
        return lambda path: load_image(path, as_viewed=True)
    return read_image
