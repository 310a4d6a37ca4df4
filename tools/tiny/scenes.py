"""Scenes: what a picture shows, drawn at random, and the painter that turns a scene into pixels."""

from dataclasses import dataclass

import numpy as np

from clip_prompts.data.rendering import effects
from clip_prompts.data.rendering.colours import sample_colour
from clip_prompts.data.rendering.glyphs import SYMBOL_FONTS, characters, glyph_mask
from clip_prompts.data.rendering.masks import fill_pattern, placed_mask, shape_mask
from tiny.concepts import ATTRIBUTES, CONCEPTS, KINDS, VALUES

KIND_SHARE = {"digit": 0.27, "letter": 0.11, "symbol": 0.20, "shape": 0.42}
SIZE_RANGES = ((0.30, 0.38), (0.45, 0.56), (0.60, 0.68), (0.72, 0.82), (0.90, 1.00))  # longer side / canvas
_BY_KIND = {kind: [i for i, concept in enumerate(CONCEPTS) if concept.kind == kind] for kind in KINDS}


@dataclass(frozen=True)
class Scene:
    """Named attribute values of one picture; ``codes()`` are their indices in ``VALUES``."""

    concept: int
    case: str = "lowercase"
    colour: str = "black"
    background: str = "white"
    size: str = "large"
    position: str = "middle"
    fill: str = "solid"
    form: str = ""
    tilt: str = ""
    medium: str = "photo"
    condition: str = ""
    font: str = ""  # glyphs only; never stated

    def codes(self) -> np.ndarray:
        """Attribute array (A,), int16, in the order of ATTRIBUTES."""
        named = [VALUES[name].index(getattr(self, name)) for name in ATTRIBUTES[1:]]
        return np.array([self.concept, *named], dtype=np.int16)


def _pick(rng: np.random.Generator, values: tuple, shares: tuple | None = None):
    if shares is None:
        return values[int(rng.integers(len(values)))]
    return values[int(np.searchsorted(np.cumsum(shares), rng.random() * sum(shares), side="right"))]


def _two_colours(rng: np.random.Generator, glyph: bool) -> tuple[str, str]:
    """Ink and ground. Writing is often black on white or white on black."""
    if rng.random() < (0.35 if glyph else 0.1):
        return ("black", "white") if rng.random() < 0.5 else ("white", "black")
    colours = VALUES["colour"]
    ink = _pick(rng, colours)
    ground = _pick(rng, ("white", "black")) if rng.random() < 0.4 else _pick(rng, colours)
    while ground == ink:
        ground = _pick(rng, colours)
    return ink, ground


def _form_of(font: str, thick: bool, handwritten: bool) -> str:
    if handwritten:
        return "handwritten"
    if thick or "Bold" in font or font.endswith("Bol") or font == "cmb10":
        return "bold"
    return "italic" if any(part in font for part in ("Oblique", "Ital", "cmti")) else ""


def sample_scene(rng: np.random.Generator, fonts: tuple) -> Scene:
    """A random scene; letters and digits use the given fonts."""
    concept = _pick(rng, _BY_KIND[_pick(rng, KINDS, tuple(KIND_SHARE[kind] for kind in KINDS))])
    kind = CONCEPTS[concept].kind
    glyph = kind != "shape"
    case = "capital" if kind == "letter" and rng.random() < 0.5 else "lowercase"
    colour, background = _two_colours(rng, glyph)
    size = _pick(rng, VALUES["size"], (0.06, 0.14, 0.2, 0.35, 0.25))
    off_centre = {"tiny": 0.8, "small": 0.6}.get(size, 0.0)
    position = _pick(rng, VALUES["position"][1:]) if rng.random() < off_centre else "middle"
    fill, form, font = "solid", "", ""
    if glyph:
        character = CONCEPTS[concept].characters[case == "capital"]
        able = [name for name in (SYMBOL_FONTS if kind == "symbol" else fonts) if character in characters(name)]
        font = _pick(rng, able)
        form = _form_of(font, rng.random() < 0.2, kind != "symbol" and rng.random() < 0.35)
    elif size in ("tiny", "small"):
        fill = _pick(rng, ("solid", "outlined"), (0.8, 0.2))
    else:
        fill = _pick(rng, VALUES["fill"], (0.5, 0.2, 0.15, 0.15))
    return Scene(
        concept, case, colour, background, size, position, fill, form, font=font,
        tilt="tilted" if rng.random() < 0.25 else "",
        medium=_pick(rng, VALUES["medium"], (0.45, 0.25, 0.15, 0.15)),
        condition=_pick(rng, VALUES["condition"], (0.45, 0.15, 0.12, 0.12, 0.08, 0.08)),
    )  # fmt: skip


def _mask(scene: Scene, side: int, rng: np.random.Generator) -> np.ndarray:
    """Coverage (side, side) of the thing itself, with its fill pattern."""
    low, high = SIZE_RANGES[VALUES["size"].index(scene.size)]
    extent = rng.uniform(low, high)
    shift = 0.5 - extent / 2
    dx, dy = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}.get(scene.position, (0, 0))
    reach = shift * rng.uniform(0.7, 1.0)
    wobble = rng.uniform(-0.3, 0.3, 2) * min(shift, 0.1)
    centre = (0.5 + dx * reach + wobble[0], 0.5 + dy * reach + wobble[1])
    degrees = rng.uniform(13, 30) * rng.choice((-1, 1)) if scene.tilt else rng.uniform(-8, 8)
    concept = CONCEPTS[scene.concept]
    if concept.kind == "shape":
        line = rng.uniform(0.05, 0.09) if scene.fill == "outlined" else 0.0
        mask = shape_mask(concept.name, side, centre, extent / 2, degrees, rng.uniform(0.92, 1.08), line)
    else:
        stroke, slant, warp = 0, 0.0, None
        if scene.form == "bold":
            stroke = int(rng.integers(0, 4)) if "Bol" in scene.font or scene.font == "cmb10" else 3
        elif scene.form == "handwritten":
            stroke, slant = int(rng.integers(0, 6)), rng.uniform(-0.3, 0.3)
            warp = rng.uniform(-0.06, 0.06, (4, 4, 2)) * (0.5 + extent)
        glyph = glyph_mask(concept.characters[scene.case == "capital"], scene.font, stroke)
        if scene.form == "handwritten":  # people write wider and narrower than a font
            width = max(3, round(glyph.size[0] * rng.uniform(0.75, 1.3)))
            glyph = glyph.resize((width, glyph.size[1]))
        mask = placed_mask(glyph, side, centre, extent, degrees, slant, warp)
    pattern = fill_pattern(scene.fill, side, rng)
    return mask if pattern is None else mask * pattern


def _paint_medium(scene: Scene, side: int, rng: np.random.Generator) -> np.ndarray:
    """The scene in its medium, before the condition of the picture."""
    mask = _mask(scene, side, rng)
    ink, ground = sample_colour(scene.colour, rng), sample_colour(scene.background, rng)
    if scene.medium == "drawing":  # flat colours
        return effects.compose(np.broadcast_to(ground, (side, side, 3)), ink, mask)
    if scene.medium == "sketch":  # pencil: hatched ink, ground left a little uneven
        angle, period = rng.uniform(0, np.pi), rng.uniform(2.0, 3.5)
        axis = np.arange(side, dtype=np.float32) * (2 * np.pi / period)
        hatch = 0.72 + 0.28 * np.sin(np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])
        hatch = np.clip(hatch + 0.2 * effects.smooth_noise(side, 8, rng), 0, 1)
        paper = ground * (1 + 0.06 * effects.smooth_noise(side, 16, rng))[..., None]
        return effects.compose(paper, ink, mask * hatch)
    if scene.medium == "painting":  # uneven paint on both
        brush = 1 + 0.25 * effects.smooth_noise(side, int(rng.integers(5, 10)), rng)
        canvas = 1 + 0.25 * effects.smooth_noise(side, int(rng.integers(5, 10)), rng)
        return effects.compose(ground * canvas[..., None], ink * brush[..., None], mask)
    light = effects.gradient(side, rng, rng.uniform(0.0, 0.25)) * rng.uniform(0.85, 1.08)
    lit = effects.compose(np.broadcast_to(ground, (side, side, 3)), ink, mask) * light[..., None]
    return lit + rng.normal(0, rng.uniform(0, 0.03), lit.shape).astype(np.float32)


def paint(scene: Scene, side: int, rng: np.random.Generator) -> np.ndarray:
    """The picture of a scene, uint8 (side, side, 3)."""
    picture = _paint_medium(scene, side, rng)
    if scene.condition == "blurry":
        if rng.random() < 0.5:
            picture = effects.blur(picture, rng.uniform(1.2, 2.2))
        else:
            picture = effects.low_resolution(picture, int(rng.integers(7, 12)), smooth=True)
    elif scene.condition == "noisy":
        picture = picture + rng.normal(0, rng.uniform(0.10, 0.22), picture.shape)
    elif scene.condition == "pixelated":
        picture = effects.low_resolution(picture, int(rng.integers(7, 14)), smooth=False)
    elif scene.condition == "dark":
        picture = picture * rng.uniform(0.3, 0.55)
    elif scene.condition == "bright":
        picture = 1 - (1 - picture) * rng.uniform(0.3, 0.6)
    return effects.to_uint8(picture)
