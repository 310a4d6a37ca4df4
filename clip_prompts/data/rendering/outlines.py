"""Outlines of geometric shapes: closed polygons in the square from -1 to 1 (y points down)."""

import numpy as np


def _regular(corners: int, turn: float = 0.0) -> np.ndarray:
    """Returns the corners of a regular polygon on the unit circle; the first points up, plus ``turn`` in turns."""
    angle = 2 * np.pi * (np.arange(corners) / corners + turn) - np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _arc(start: float, end: float, n: int = 24, radius: float = 1.0, centre: tuple = (0.0, 0.0)) -> np.ndarray:
    """Returns points of an arc; angles in degrees, clockwise from the right."""
    angle = np.radians(np.linspace(start, end, n))
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)


def _alternating(points: int, inner: float, n_each: int = 1) -> np.ndarray:
    """Returns a star-like outline: radius 1 and ``inner`` in turn, ``n_each`` corners on each level."""
    radius = np.tile(np.repeat([1.0, inner], n_each), points)
    return _regular(len(radius)) * radius[:, None]


def _petals(petals: int, depth: float) -> np.ndarray:
    """Returns a rose-like outline with round petals."""
    turn = np.arange(72) / 72
    radius = 1 - depth + depth * np.abs(np.cos(np.pi * petals * turn))
    return _regular(72) * radius[:, None]


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x / 17, (y - 2.5) / 15], axis=1)


def _xy(*pairs: tuple) -> np.ndarray:
    return np.array(pairs, dtype=float)


OUTLINES = {
    "circle": _arc(0, 360, 40),
    "oval": _arc(0, 360, 40) * (1.0, 0.58),
    "square": _xy((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "rectangle": _xy((-1, -0.52), (1, -0.52), (1, 0.52), (-1, 0.52)),
    "triangle": _xy((0, -0.95), (1, 0.8), (-1, 0.8)),
    "diamond": _xy((0, -1), (0.72, 0), (0, 1), (-0.72, 0)),
    "pentagon": _regular(5),
    "hexagon": _regular(6, 1 / 12),
    "star": _alternating(5, 0.42),
    "cross": _xy(
        (-0.32, -1), (0.32, -1), (0.32, -0.32), (1, -0.32), (1, 0.32), (0.32, 0.32),
        (0.32, 1), (-0.32, 1), (-0.32, 0.32), (-1, 0.32), (-1, -0.32), (-0.32, -0.32),
    ),
    "heart": _heart(),
    # The left part of a disc, cut by a second disc that is shifted to the right.
    "crescent": np.concatenate([_arc(50, 310, 30), _arc(285, 75, 24, 0.79, (0.44, 0.0))]),
    "arrow": _xy((-1, -0.28), (0.1, -0.28), (0.1, -0.78), (1, 0), (0.1, 0.78), (0.1, 0.28), (-1, 0.28)),
    "semicircle": _arc(180, 360, 30) * (1.0, 1.0) + (0.0, 0.45),
    "trapezoid": _xy((-0.5, -0.65), (0.5, -0.65), (1, 0.65), (-1, 0.65)),
    "drop": np.concatenate([_xy((0, -1)), _arc(-20, 200, 24, 0.62, (0.0, 0.38))]),
    "lightning": _xy((0.25, -1), (-0.65, 0.15), (-0.08, 0.15), (-0.35, 1), (0.65, -0.25), (0.05, -0.25)),
    "flower": _petals(6, 0.42),
    "gear": _alternating(8, 0.72, 2),
    "house": _xy((0, -1), (1, -0.15), (0.75, -0.15), (0.75, 0.9), (-0.75, 0.9), (-0.75, -0.15), (-1, -0.15)),
    "tree": _xy((0, -1), (0.75, 0.45), (0.2, 0.45), (0.2, 1), (-0.2, 1), (-0.2, 0.45), (-0.75, 0.45)),
    "cloud": np.concatenate([
        _arc(90, 270, 10, 0.38, (-0.62, 0.22)), _arc(180, 320, 10, 0.42, (-0.28, -0.16)),
        _arc(220, 380, 10, 0.40, (0.30, -0.10)), _arc(-90, 90, 10, 0.34, (0.66, 0.26)),
    ]),
    "fish": np.concatenate([
        _arc(-150, 150, 30) * (0.72, 0.52) + (0.28, 0.0), _xy((-1, 0.55), (-0.8, 0), (-1, -0.55)),
    ]),
    # A ring is its outer circle; the drawing code cuts the hole (see HOLES).
    "ring": _arc(0, 360, 40),
}  # fmt: skip

# Closed polygons cut out of an outline.
HOLES = {"ring": _arc(0, 360, 32) * 0.58}

SHAPES = tuple(OUTLINES)
