"""Effects on whole pictures: float arrays (side, side, 3) in 0..1 in, the same out."""

import numpy as np
from PIL import Image, ImageFilter


def compose(background: np.ndarray, ink: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay ink over background. ``ink`` is one colour (3,) or a picture (side, side, 3); ``mask`` is (side, side)."""
    return background + (ink - background) * mask[..., None]


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """Rounds a picture in 0..1 to bytes; values outside are clipped."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def gradient(side: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Returns a linear light fall-off (side, side) around 1, in a random direction."""
    angle = rng.random() * 2 * np.pi
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return 1 + strength * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]) / 1.4142


def smooth_noise(side: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Returns noise (side, side) in -1..1 that varies over ``cells`` cells a side."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def blur(picture: np.ndarray, radius: float) -> np.ndarray:
    """Blur by a Gaussian; ``radius`` in pixels."""
    image = Image.fromarray(to_uint8(picture)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, dtype=np.float32) / 255


def low_resolution(picture: np.ndarray, side: int, smooth: bool) -> np.ndarray:
    """Shrinks to ``side`` pixels and enlarges again, with soft (bicubic) or hard (nearest) pixels."""
    image = Image.fromarray(to_uint8(picture))
    kind = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(image.resize((side, side), Image.Resampling.BOX).resize(image.size, kind), dtype=np.float32) / 255


def invert_lightness(picture: np.ndarray) -> np.ndarray:
    """Exchange light and dark; every hue stays (HSL lightness L becomes 1 - L)."""
    high, low = picture.max(axis=-1, keepdims=True), picture.min(axis=-1, keepdims=True)
    return picture + 1 - (high + low)
