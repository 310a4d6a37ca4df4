"""Glyphs in the fonts that matplotlib ships."""

import functools
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from clip_prompts.common.errors import UserError

# Fonts with digits, letters and punctuation at their usual code points. Symbol fonts are excluded on purpose:
# they place other pictures at the letters' code points.
TEXT_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmti10", "cmtt10",
)  # fmt: skip
SYMBOL_FONTS = ("DejaVuSans", "DejaVuSans-Bold")
GLYPH_PIXELS = 64  # the height at which fonts are loaded; masks are scaled afterwards


@functools.cache
def font_path(name: str) -> Path:
    """Returns the path of a font file inside matplotlib's data folder.

    Raises UserError: this matplotlib does not ship the font.
    """
    import matplotlib  # slow to import, and only glyphs need it

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    if not path.is_file():
        raise UserError(
            f"matplotlib {matplotlib.__version__} does not ship the font '{name}'. Install matplotlib 3.11 or newer"
        )
    return path


@functools.cache
def characters(font: str) -> frozenset:
    """Returns all characters that a font has a glyph for."""
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(str(font_path(font))).get_charmap()))


@functools.cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    # Basic layout: the complex one depends on a library that not every Pillow has.
    return ImageFont.truetype(str(font_path(name)), GLYPH_PIXELS, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=8192)
def glyph_mask(character: str, font: str, stroke: int = 0) -> Image.Image:
    """Returns the coverage of one glyph, cropped to its ink: an ``L`` image.

    ``stroke`` thickens the outline, in pixels at GLYPH_PIXELS.
    """
    if character not in characters(font):
        raise ValueError(f"Font {font} has no glyph for {character!r}")
    face = _font(font)
    left, top, right, bottom = face.getbbox(character, stroke_width=stroke)
    image = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2), 0)
    ImageDraw.Draw(image).text((1 - left, 1 - top), character, 255, font=face, stroke_width=stroke)
    return image.crop(image.getbbox())
