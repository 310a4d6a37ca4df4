"""Outlines, glyphs and painted scenes show what they are called."""

import numpy as np
import pytest

from clip_prompts.data.rendering import effects
from clip_prompts.data.rendering.colours import COLOURS, sample_colour
from clip_prompts.data.rendering.glyphs import SYMBOL_FONTS, characters, glyph_mask
from clip_prompts.data.rendering.masks import fill_pattern, placed_mask, shape_mask
from clip_prompts.data.rendering.outlines import OUTLINES, SHAPES
from tiny.concepts import CONCEPTS
from tiny.pool import HELD_OUT_FONTS, TRAIN_FONTS, _render_chunk
from tiny.scenes import Scene, paint

CIRCLE = next(i for i, concept in enumerate(CONCEPTS) if concept.name == "circle")


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_fill_their_square(shape):
    points = OUTLINES[shape]
    assert np.abs(points).max() <= 1.05
    assert np.abs(points).max() >= 0.8
    filled = shape_mask(shape, 32, radius=0.5)
    assert 0.15 < filled.mean() < 0.95
    line = shape_mask(shape, 32, radius=0.4, outline_width=0.05)
    assert 0 < line.mean() < shape_mask(shape, 32, radius=0.4).mean()


def test_shapes_are_told_apart():
    masks = {shape: shape_mask(shape, 32, radius=0.45) for shape in SHAPES}
    for first in SHAPES:
        for second in SHAPES:
            assert first == second or np.abs(masks[first] - masks[second]).mean() > 0.02, (first, second)


def test_a_ring_has_a_hole_and_a_circle_has_none():
    assert shape_mask("ring", 32)[16, 16] == 0
    assert shape_mask("circle", 32)[16, 16] == 1


@pytest.mark.parametrize("concept", [c for c in CONCEPTS if c.characters], ids=lambda c: c.name)
def test_glyphs_exist_for_training_and_validation(concept):
    for fonts in (SYMBOL_FONTS,) if concept.kind == "symbol" else (TRAIN_FONTS, HELD_OUT_FONTS):
        for character in concept.characters:
            able = [font for font in fonts if character in characters(font)]
            assert able
            assert glyph_mask(character, able[0]).getextrema()[1] == 255


def test_validation_fonts_are_never_trained_on():
    assert not set(TRAIN_FONTS) & set(HELD_OUT_FONTS)


def test_unknown_glyph_is_refused():
    with pytest.raises(ValueError, match="has no glyph"):
        glyph_mask("\u4e00", "cmr10")


def test_glyphs_are_placed_where_asked():
    glyph = glyph_mask("8", "DejaVuSans-Bold")
    mask = placed_mask(glyph, 32, (0.25, 0.75), 0.4, 0, 0)
    rows, columns = np.mgrid[:32, :32]
    assert (mask * columns).sum() / mask.sum() == pytest.approx(0.25 * 32 - 0.5, abs=1)
    assert (mask * rows).sum() / mask.sum() == pytest.approx(0.75 * 32 - 0.5, abs=1)
    inked = np.flatnonzero(mask.max(axis=1) > 0.5)
    assert inked[-1] - inked[0] + 1 == pytest.approx(0.4 * 32, abs=2)


def test_warp_bends_and_zero_warp_does_not():
    glyph = glyph_mask("H", "DejaVuSans")
    straight = placed_mask(glyph, 32, (0.5, 0.5), 0.8, 0, 0)
    assert np.allclose(straight, placed_mask(glyph, 32, (0.5, 0.5), 0.8, 0, 0, np.zeros((4, 4, 2))), atol=0.02)
    warp = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 4, 2))
    assert np.abs(straight - placed_mask(glyph, 32, (0.5, 0.5), 0.8, 0, 0, warp)).mean() > 0.02


@pytest.mark.parametrize("fill", ["striped", "dotted"])
def test_patterns_leave_gaps(fill):
    pattern = fill_pattern(fill, 32, np.random.default_rng(0))
    assert pattern.min() == 0 and pattern.max() == 1 and 0.25 < pattern.mean() < 0.75


@pytest.mark.parametrize("colour", COLOURS)
def test_the_ink_has_the_named_colour(colour):
    """The middle of a plain disc is closer to shades of its own colour than to those of any other."""
    rng = np.random.default_rng(3)
    scene = Scene(CIRCLE, colour=colour, background="white" if colour != "white" else "black", medium="drawing")
    middle = paint(scene, 32, rng)[14:18, 14:18].mean(axis=(0, 1)) / 255
    shades = {name: np.stack([sample_colour(name, rng) for _ in range(200)]) for name in COLOURS}
    distance = {name: np.abs(values - middle).sum(axis=1).min() for name, values in shades.items()}
    assert min(distance, key=distance.get) == colour


@pytest.mark.parametrize("position", ["left", "right", "top", "bottom"])
def test_positions_are_true(position):
    axis, sign = {"left": (1, -1), "right": (1, 1), "top": (0, -1), "bottom": (0, 1)}[position]
    scene = Scene(CIRCLE, position=position, size="small", medium="drawing")
    for seed in range(5):
        ink = 255.0 - paint(scene, 32, np.random.default_rng(seed)).mean(axis=2)
        ink[ink < 128] = 0
        centre = (ink.sum(axis=1 - axis) * np.arange(32)).sum() / ink.sum()
        assert (centre - 15.5) * sign > 2


@pytest.mark.parametrize("medium", ["photo", "drawing", "sketch", "painting"])
@pytest.mark.parametrize("condition", ["", "blurry", "noisy", "pixelated", "dark", "bright"])
def test_every_look_paints_the_same_picture_twice_and_shows_something(medium, condition):
    scene = Scene(CIRCLE, colour="red", background="yellow", medium=medium, condition=condition)
    first, second = (paint(scene, 32, np.random.default_rng(1)) for _ in range(2))
    assert first.dtype == np.uint8 and first.shape == (32, 32, 3)
    assert (first == second).all()
    assert first.astype(float).std() > 5


def test_conditions_do_what_they_say():
    rng = np.random.default_rng
    look = {c: paint(Scene(CIRCLE, colour="red", medium="drawing", condition=c), 32, rng(1)).astype(float)
            for c in ("", "dark", "bright", "blurry")}  # fmt: skip
    assert look["dark"].mean() < look[""].mean() < look["bright"].mean()
    edges = {c: np.abs(np.diff(picture, axis=1)).max() for c, picture in look.items()}
    assert edges["blurry"] < edges[""]


def test_the_pool_does_not_depend_on_how_it_is_cut():
    whole = _render_chunk((0, 6), (1, 0), TRAIN_FONTS)
    parts = [_render_chunk((first, 3), (1, 0), TRAIN_FONTS) for first in (0, 3)]
    for column in range(2):
        assert (whole[column] == np.concatenate([part[column] for part in parts])).all()


def test_inverted_lightness_keeps_hue():
    import colorsys

    picture = np.random.default_rng(0).random((4, 4, 3))
    inverted = effects.invert_lightness(picture)
    for before, after in zip(picture.reshape(-1, 3), inverted.reshape(-1, 3), strict=True):
        (h0, l0, _), (h1, l1, _) = colorsys.rgb_to_hls(*before), colorsys.rgb_to_hls(*after)
        assert h1 == pytest.approx(h0) and l1 == pytest.approx(1 - l0)
