"""Coverage masks: the place of a shape or glyph on the canvas, as float arrays in 0..1."""

import numpy as np
from PIL import Image, ImageDraw

from clip_prompts.data.rendering.outlines import HOLES, OUTLINES

SUPERSAMPLING = 3  # masks are drawn this much larger, then averaged down
FILLS = ("solid", "outlined", "striped", "dotted")


def _polygons(shape: str, centre: tuple, radius: float, degrees: float, stretch: float, side: int) -> list:
    """Returns pixel polygons of a shape, the outline first. ``centre`` and ``radius`` in canvas fractions."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    result = []
    for points in [OUTLINES[shape], *([HOLES[shape]] if shape in HOLES else [])]:
        placed = (points * (stretch, 1 / stretch)) @ turn * radius + centre
        result.append([tuple(p) for p in (placed * side).tolist()])
    return result


def _downsample(image: Image.Image) -> np.ndarray:
    return np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float32) / 255


def shape_mask(
    shape: str, side: int, centre: tuple = (0.5, 0.5), radius: float = 0.4, degrees: float = 0.0, stretch: float = 1.0,
    outline_width: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Returns the coverage (side, side) of a shape; of its outline if ``outline_width`` > 0, in canvas widths."""
    big = side * SUPERSAMPLING
    image = Image.new("L", (big, big), 0)
    draw = ImageDraw.Draw(image)
    polygons = _polygons(shape, centre, radius, degrees, stretch, big)
    if outline_width > 0:
        width = max(1, round(outline_width * big))
        for polygon in polygons:
            # The first two points close the line with a proper joint.
            draw.line([*polygon, *polygon[:2]], fill=255, width=width, joint="curve")
    else:
        draw.polygon(polygons[0], fill=255)
        for hole in polygons[1:]:
            draw.polygon(hole, fill=0)
    return _downsample(image)


def placed_mask(
    glyph: Image.Image, side: int, centre: tuple, height: float, degrees: float, slant: float,
    warp: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Returns the coverage (side, side) of a glyph mask placed on the canvas.

    ``height`` is the longer side of the glyph as a fraction of the canvas; ``slant`` shears to the right;
    ``warp`` (4, 4, 2) bends the canvas by that many canvas widths at a 4 x 4 grid of points.
    """
    big = side * SUPERSAMPLING
    scale = height * big / max(glyph.size)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    # Pillow wants the map from canvas pixels back to glyph pixels.
    forward = np.array([[cos, sin], [-sin, cos]]) @ np.array([[1.0, -slant], [0.0, 1.0]]) * scale
    back = np.linalg.inv(forward)
    offset = np.array(glyph.size) / 2 - back @ (np.array(centre) * big)
    coefficients = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    image = glyph.transform((big, big), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    if warp is not None:
        image = _bend(image, warp)
    return _downsample(image)


def _bend(image: Image.Image, warp: np.ndarray) -> Image.Image:
    """Moves the corners of a 3 x 3 mesh of quads by ``warp`` (4, 4, 2), in image widths."""
    side = image.size[0]
    ticks = np.round(np.linspace(0, side, 4)).astype(int)
    source = np.stack(np.meshgrid(ticks, ticks), axis=-1) + warp * side
    mesh = []
    for row in range(3):
        for col in range(3):
            box = (int(ticks[col]), int(ticks[row]), int(ticks[col + 1]), int(ticks[row + 1]))
            corners = [source[row, col], source[row + 1, col], source[row + 1, col + 1], source[row, col + 1]]
            mesh.append((box, tuple(float(v) for corner in corners for v in corner)))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def fill_pattern(fill: str, side: int, rng: np.random.Generator) -> np.ndarray | None:
    """Returns a pattern (side, side) in 0..1 that multiplies a mask, or None if the fill has none."""
    if fill not in ("striped", "dotted"):
        return None
    angle, phase_x, phase_y = rng.random(3) * np.pi
    period = rng.uniform(0.16, 0.24)
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side / period * 2 * np.pi
    u = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None] + phase_x
    if fill == "striped":
        return np.clip(0.5 + 1.5 * np.sin(u), 0, 1)
    v = -np.sin(angle) * axis[None, :] + np.cos(angle) * axis[:, None] + phase_y
    return np.clip(0.5 + 1.8 * np.sin(u) * np.sin(v), 0, 1)
