"""The things that the rendered pictures show, and the values of every attribute that a caption can state."""

import string
from dataclasses import dataclass

from clip_prompts.data.rendering.colours import COLOURS
from clip_prompts.data.rendering.masks import FILLS
from clip_prompts.data.rendering.outlines import SHAPES


@dataclass(frozen=True)
class Concept:
    """One thing: its kind, its name in captions and, for glyphs, the character of each letter case."""

    kind: str  # "digit", "letter", "symbol" or "shape"
    name: str
    characters: tuple = ()


DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# o, i and l look like zero and one in many fonts, so a picture of them would carry a contradictory caption.
LETTERS = tuple(c for c in string.ascii_lowercase if c not in "oil")
SYMBOLS = {
    "?": "question mark", "!": "exclamation mark", "#": "hash sign", "%": "percent sign", "&": "ampersand",
    "@": "at sign", "*": "asterisk", "+": "plus sign", "=": "equals sign",
    "\u03b1": "alpha", "\u03b2": "beta", "\u03b4": "delta", "\u03bb": "lambda", "\u03c0": "pi", "\u03c3": "sigma",
    "\u03c9": "omega", "\u221e": "infinity", "\u221a": "square root", "\u222b": "integral",
    "\u2600": "sun", "\u2602": "umbrella", "\u2603": "snowman", "\u260e": "telephone", "\u2620": "skull",
    "\u2615": "cup", "\u262f": "yin yang", "\u263a": "smiling face", "\u2639": "sad face", "\u263e": "moon",
    "\u265a": "king", "\u265c": "rook", "\u265d": "bishop", "\u265e": "knight", "\u265f": "pawn",
    "\u2660": "spade", "\u2663": "club", "\u266b": "music note", "\u2702": "scissors", "\u2708": "airplane",
    "\u2709": "envelope", "\u270f": "pencil", "\u2713": "check mark", "\u2744": "snowflake", "\u2693": "anchor",
    "\u2694": "swords", "\u2696": "scales", "\u269b": "atom", "\u2618": "shamrock", "\u2691": "flag",
    "\u2680": "dice", "\u2640": "female sign", "\u2642": "male sign",
}  # fmt: skip

CONCEPTS = (
    *(Concept("digit", name, (str(value),)) for value, name in enumerate(DIGIT_NAMES)),
    *(Concept("letter", f"letter {c}", (c, c.upper())) for c in LETTERS),
    *(Concept("symbol", name, (c,)) for c, name in SYMBOLS.items()),
    *(Concept("shape", name) for name in SHAPES),
)
KINDS = ("digit", "letter", "symbol", "shape")

# Attribute -> its values. The value stands as its index in the attribute array of a scene.
# Values named "" are never stated in a caption.
VALUES = {
    "concept": tuple(concept.name for concept in CONCEPTS),
    "case": ("lowercase", "capital"),
    "colour": COLOURS,
    "background": COLOURS,
    "size": ("tiny", "small", "", "large", "huge"),
    "position": ("middle", "left", "right", "top", "bottom"),
    "fill": FILLS,
    "form": ("", "bold", "italic", "handwritten"),
    "tilt": ("", "tilted"),
    "medium": ("photo", "drawing", "sketch", "painting"),
    "condition": ("", "blurry", "noisy", "pixelated", "dark", "bright"),
}
ATTRIBUTES = tuple(VALUES)
COLUMN = {name: column for column, name in enumerate(ATTRIBUTES)}
