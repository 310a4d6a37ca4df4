"""Coloured shapes cut from painted card, lying on textured paper under a lamp.

The embedded backbone never saw this style: its training pictures have other shades of the same colour names, flat or
differently textured grounds, no shadow and no tinted light. The words for colours and shapes are the same.
"""

from dataclasses import dataclass

import numpy as np

from clip_prompts.data.rendering import effects
from clip_prompts.data.rendering.colours import sample_colour
from clip_prompts.data.rendering.masks import shape_mask

SIDE = 32

# Muted paints, darker or paler than the shades of TRAINING_SHADES.
PAINTS = {
    "red": ((-0.035, 0.015), (0.60, 0.78), (0.55, 0.74)),
    "orange": ((0.055, 0.095), (0.60, 0.82), (0.72, 0.89)),
    "yellow": ((0.13, 0.18), (0.48, 0.72), (0.74, 0.87)),
    "green": ((0.26, 0.43), (0.35, 0.58), (0.34, 0.62)),
    "blue": ((0.56, 0.66), (0.42, 0.68), (0.42, 0.68)),
    "purple": ((0.73, 0.82), (0.30, 0.54), (0.40, 0.62)),
}
# Hue, saturation and value of the papers: cream, sage, sky, rose, grey.
_PAPERS = {
    "cream": ((0.10, 0.14), (0.08, 0.22), (0.80, 0.95)),
    "sage": ((0.25, 0.40), (0.05, 0.18), (0.70, 0.88)),
    "sky": ((0.52, 0.62), (0.05, 0.18), (0.72, 0.92)),
    "rose": ((0.93, 1.00), (0.05, 0.15), (0.78, 0.94)),
    "stone": ((0.00, 1.00), (0.00, 0.05), (0.55, 0.80)),
}


@dataclass(frozen=True)
class _Layout:
    """The place of the cut-out; lengths in canvas widths, angle in degrees."""

    centre: tuple
    radius: float
    degrees: float
    stretch: float

    def mask(self, shape: str, shift: tuple = (0.0, 0.0), outline_width: float = 0.0) -> np.ndarray:
        centre = (self.centre[0] + shift[0], self.centre[1] + shift[1])
        return shape_mask(shape, SIDE, centre, self.radius, self.degrees, self.stretch, outline_width)


def _layout(rng: np.random.Generator) -> _Layout:
    radius = rng.uniform(0.22, 0.42)
    room = 0.48 - radius
    return _Layout(tuple(0.5 + rng.uniform(-room, room, 2)), radius, rng.uniform(-28, 28), rng.uniform(0.85, 1.18))


def _paper(rng: np.random.Generator) -> np.ndarray:
    """Returns textured paper (side, side, 3): blotches, fine grain and fibres in one direction."""
    tint = sample_colour(list(_PAPERS)[rng.integers(len(_PAPERS))], rng, _PAPERS)
    grain = 0.05 * effects.smooth_noise(SIDE, 4, rng) + rng.normal(0, 0.025, (SIDE, SIDE))
    fibres = rng.normal(0, 0.05, (SIDE, 1)) * rng.uniform(0.3, 1.0)
    grain = grain + (fibres if rng.random() < 0.5 else fibres.T)
    return tint * (1 + grain)[..., None].astype(np.float32)


def _lamp(rng: np.random.Generator) -> np.ndarray:
    """Returns light (side, side, 3): uneven, a little warm or cold."""
    warmth = rng.uniform(-0.10, 0.14)
    tint = np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32)
    return effects.gradient(SIDE, rng, rng.uniform(0.1, 0.3))[..., None] * tint * rng.uniform(0.75, 1.05)


def _cutout(colour: str, shape: str, rng: np.random.Generator) -> np.ndarray:
    layout, paper, lamp = _layout(rng), _paper(rng), _lamp(rng)
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.07)
    shadow = layout.mask(shape, (np.cos(angle) * distance, np.sin(angle) * distance))
    shadow = effects.blur(np.repeat(shadow[..., None], 3, axis=2), rng.uniform(0.8, 1.6))
    brush = 1 + 0.18 * effects.smooth_noise(SIDE, 7, rng) * effects.gradient(SIDE, rng, 0.4)
    ink = sample_colour(colour, rng, PAINTS) * brush[..., None]
    picture = effects.compose(paper * (1 - 0.45 * shadow), ink, layout.mask(shape)) * lamp
    return picture + rng.normal(0, 0.02, picture.shape)


def _sketch(colour: str, shape: str, rng: np.random.Generator) -> np.ndarray:
    """Draw two unsteady coloured pencil lines around nothing."""
    layout, paper, lamp = _layout(rng), _paper(rng), _lamp(rng)
    ink = sample_colour(colour, rng, PAINTS)
    picture = paper
    for _ in range(2):
        line = layout.mask(shape, tuple(rng.normal(0, 0.012, 2)), rng.uniform(0.035, 0.055))
        pressure = np.clip(0.8 + 0.3 * effects.smooth_noise(SIDE, 6, rng), 0, 1)
        picture = effects.compose(picture, ink, line * pressure)
    return picture * lamp


def draw_cutout(colour: str, shape: str, variant: str, stream: tuple) -> np.ndarray:
    """Draw one picture, uint8 (32, 32, 3).

    Args:
        colour: a key of PAINTS. shape: a key of ``outlines.OUTLINES``.
        variant: "plain"; "sketch" (coloured pencil outline), "noise" (grain and dead pixels), "inverted" (light and
            dark exchanged, hues kept) or "blur".
        stream: integers that seed the picture's own generator. The same integers give the same scene in every
            variant.
    """
    rng = np.random.default_rng(stream)
    if variant == "sketch":
        return effects.to_uint8(_sketch(colour, shape, rng))
    picture = np.clip(_cutout(colour, shape, rng), 0, 1)
    return effects.to_uint8(_SHIFTS[variant](picture, rng))


def _noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = picture + rng.normal(0, 0.16, picture.shape)
    dead = rng.random((SIDE, SIDE)) < 0.08
    noisy[dead] = rng.integers(0, 2, (int(dead.sum()), 1))
    return noisy


_SHIFTS = {
    "plain": lambda picture, rng: picture,
    "noise": _noise,
    "inverted": lambda picture, rng: effects.invert_lightness(picture),
    "blur": lambda picture, rng: effects.blur(picture, rng.uniform(1.5, 2.1)),
}
VARIANTS = (*_SHIFTS, "sketch")
