"""Colour names and the range of shades that each name covers."""

import colorsys

import numpy as np

# name -> (hue, saturation, value), each a closed interval. Hue is in turns and may be negative (red wraps around).
TRAINING_SHADES = {
    "red": ((-0.02, 0.02), (0.80, 1.00), (0.75, 1.00)),
    "orange": ((0.06, 0.09), (0.85, 1.00), (0.90, 1.00)),
    "yellow": ((0.14, 0.17), (0.75, 1.00), (0.88, 1.00)),
    "green": ((0.28, 0.40), (0.60, 1.00), (0.45, 0.85)),
    "cyan": ((0.48, 0.53), (0.60, 1.00), (0.80, 1.00)),
    "blue": ((0.60, 0.67), (0.70, 1.00), (0.60, 1.00)),
    "purple": ((0.75, 0.80), (0.55, 1.00), (0.50, 0.85)),
    "pink": ((0.90, 0.96), (0.30, 0.60), (0.92, 1.00)),
    "brown": ((0.05, 0.08), (0.60, 0.85), (0.35, 0.52)),
    "black": ((0.00, 1.00), (0.00, 0.10), (0.00, 0.12)),
    "white": ((0.00, 1.00), (0.00, 0.04), (0.93, 1.00)),
    "gray": ((0.00, 1.00), (0.00, 0.06), (0.42, 0.65)),
}
COLOURS = tuple(TRAINING_SHADES)


def sample_colour(name: str, rng: np.random.Generator, shades: dict = TRAINING_SHADES) -> np.ndarray:
    """Returns one shade of a named colour, float array (3,), red, green and blue in 0..1."""
    (h0, h1), (s0, s1), (v0, v1) = shades[name]
    h, s, v = rng.random(3)
    hue = (h0 + h * (h1 - h0)) % 1.0
    return np.array(colorsys.hsv_to_rgb(hue, s0 + s * (s1 - s0), v0 + v * (v1 - v0)), dtype=np.float32)
