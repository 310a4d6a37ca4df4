"""Pictures as 8-bit RGB: read without a silent loss, or refused with their path and the reason."""

import functools
import re

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import ImageReadError, MissingFileError
from .regular_files import open_regular

# Pixels only: of other formats that Pillow knows, some are programs (EPS would be handed to Ghostscript).
_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000", "TGA", "ICO")
_ORIENTATION = 0x0112  # EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_DARK = 4096  # 16-bit pictures whose brightest value is below hold 12 bits, or next to nothing


@functools.cache
def _formats():
    Image.init()
    try:  # reads HEIC, where it is installed
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def read_image(path):
    """Return the image at ``path`` as a PIL image in RGB, as :func:`load_image` does by default."""
    return load_image(path)


def load_image(path, as_viewed=False):
    """Return the image at ``path``, or an open PIL image, as a PIL image in RGB, fully decoded.

    Pictures of 8 bits are converted as ``PIL.Image.convert("RGB")`` does. Of 16 bits the high byte is kept, so 65535
    becomes 255; if no value is above 255, they are 8 bits in a larger file. Floats from 0 to 1 are multiplied by 255;
    floats from 0 to 255 are rounded. Pictures of other ranges are refused.

    Args:
        path (str or PIL.Image.Image): the file, or an image.
        as_viewed (bool): as an image viewer shows it: turned as its EXIF data say, transparent parts on white.

    Raises:
        MissingFileError: there is no such file.
        ImageReadError: the file is truncated or not an image, its pixels have no known range, or it would decode to
            more than Pillow's limit of pixels (twice ``PIL.Image.MAX_IMAGE_PIXELS``); the line names it.
    """
    try:
        if isinstance(path, Image.Image):
            return _decoded(path, as_viewed)
        with open_regular(path) as file, Image.open(file, formats=_formats()) as image:
            return _decoded(image, as_viewed)
    except FileNotFoundError as error:
        raise MissingFileError(f'No image file at "{path}". Check DATASET.ROOT and the split file.') from error
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        found = f"{int(pixels[1]):,} pixels" if pixels else str(error)
        raise ImageReadError(
            f'The image "{path}" has {found}, and the limit is {2 * Image.MAX_IMAGE_PIXELS:,}: decoding it could fill '
            "the memory. Shrink or remove it, or raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except Exception as error:
        # Depending on the format, Pillow signals a broken file by an OSError, SyntaxError, struct.error and others.
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # Pillow's text is the path again
            reason = "its format is unknown, or its head is broken"
        raise ImageReadError(f'Cannot read the image "{path}" ({reason}). Replace or remove the file.') from error


def _decoded(image, as_viewed):
    if not as_viewed:
        return _to_rgb(image)
    image.load()
    turn = _TURNS.get(_orientation(image))
    picture = _to_rgb(_on_white(image))
    return picture if turn is None else picture.transpose(turn)


def image_suffixes():
    """Return the endings, in lower case and with a dot, of the picture formats that can be read."""
    formats = _formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def _orientation(image):
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data say nothing of the pixels
        return 1


def _on_white(image):
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image
    if image.mode not in ("L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "1"):
        return image
    picture = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _to_rgb(image):
    image.load()
    if image.mode == "F":
        return _from_floats(np.asarray(image))
    if image.mode == "I" or image.mode.startswith("I;"):
        return _from_integers(image)
    return image.convert("RGB")


def _from_integers(image):
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    bits = tags.get(_TIFF_BITS, (16,))[0]
    bits = bits if bits in (10, 12, 14) else 16
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 2**bits - 1 - values.astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 2**bits:
        raise ValueError(f"mode {image.mode} with values from {low} to {high}, not 0 to {2**bits - 1}: save 8 bits")
    if bits == 16 and high < 256:
        bits = 8
    if bits == 16 and low < high < _DARK:
        raise ValueError(
            f"mode {image.mode} with values up to {high} of 65535, which would be read as nearly black: "
            "save 8 bits, or scale the values to 65535"
        )
    return Image.fromarray((values >> (bits - 8)).astype(np.uint8)).convert("RGB")


def _from_floats(values):
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also of values that are not a number
        raise ValueError(f"mode F with values from {low:g} to {high:g}, not 0 to 1 or 0 to 255: save 8 bits")
    return Image.fromarray(np.rint(values * 255 if high <= 1 else values).astype(np.uint8)).convert("RGB")
