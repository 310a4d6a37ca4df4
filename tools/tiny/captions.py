"""Captions: true statements about a scene, some short, some full.

A caption comes with the set of attributes that it states. It fits every picture whose stated attributes have the
same values, and training treats all these pictures as right answers.
"""

import numpy as np

from tiny.concepts import ATTRIBUTES, COLUMN, CONCEPTS, KINDS, VALUES

_ANY_MEDIUM = ("picture", "image")
_SENTENCES = ("{}", "{}", "{}", "{}", "this is {}", "there is {}", "it is {}", "it shows {}", "one can see {}")
_PLACES = {
    "left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom",
    "middle": "in the middle",
}  # fmt: skip
_DIGIT_NOUNS = ("{}", "{}", "digit {}", "number {}")
_GROUNDS = ("on a {} background", "on {}", "with a {} background")
_KIND_TAIL = ", a type of {}"


def _article(phrase: str, rng: np.random.Generator) -> str:
    chance = rng.random()
    if chance < 0.12:
        return f"the {phrase}"
    if chance < 0.2:
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def make_caption(codes: np.ndarray, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """A random true caption of a scene and the attributes that it states.

    Args:
        codes: attribute array (A,) of the scene (``Scene.codes()``).

    Returns:
        The caption, and a bool array (A,) in the order of ATTRIBUTES.
    """
    stated = np.zeros(len(ATTRIBUTES), dtype=bool)
    stated[COLUMN["concept"]] = True
    detail = rng.random()  # from terse to full

    def say(name: str, chance: float) -> str:
        """The value of an attribute, or "" if it is missing or has no word."""
        word = VALUES[name][codes[COLUMN[name]]]
        if not word or rng.random() > chance * 2 * detail:
            return ""
        stated[COLUMN[name]] = True
        return word

    concept = CONCEPTS[codes[0]]
    shape = concept.kind == "shape"
    noun = concept.name
    if concept.kind == "digit":
        noun = _DIGIT_NOUNS[rng.integers(len(_DIGIT_NOUNS))].format(noun)
    adjectives = [
        say("size", 0.2),
        say("tilt", 0.2),
        say("form", 0.25),
        say("fill", 0.3) if shape else "",
        say("colour", 0.75 if shape else 0.35),
        say("case", 0.4) if concept.kind == "letter" else "",
    ]
    phrase = _article(" ".join([*filter(None, adjectives), noun]), rng)
    if rng.random() < 0.1:
        phrase += _KIND_TAIL.format(concept.kind)
    if place := say("position", 0.15):
        phrase += " " + _PLACES[place]
    if ground := say("background", 0.2):
        phrase += " " + _GROUNDS[rng.integers(len(_GROUNDS))].format(ground)
    if rng.random() < 0.65:
        condition = say("condition", 0.35)
        medium = say("medium", 0.85) or _ANY_MEDIUM[rng.integers(len(_ANY_MEDIUM))]
        view = f"{condition} {medium}".strip()
        phrase = f"{'an' if view[0] in 'aeiou' else 'a'} {view} of {phrase}"
    else:
        phrase = _SENTENCES[rng.integers(len(_SENTENCES))].format(phrase)
    return phrase + ("." if rng.random() < 0.5 else ""), stated


def all_words() -> list[str]:
    """Every word and mark that a caption can contain, sorted."""
    texts = [*_ANY_MEDIUM, *_SENTENCES, *_PLACES.values(), *_DIGIT_NOUNS, *_GROUNDS, _KIND_TAIL, *KINDS]
    texts += [value for values in VALUES.values() for value in values]
    texts += ["a", "an", "the", "of", ".", ","]
    return sorted({word for text in texts for word in text.replace("{}", " ").replace(",", " , ").split()})


def fits(codes: np.ndarray, caption_codes: np.ndarray, stated: np.ndarray) -> np.ndarray:
    """Match captions with pictures: bool (images, captions), from the attributes ``codes`` of pictures (images, A).

    ``caption_codes``: of the scenes that the captions were made for. ``stated``: which each states. Both (captions, A).
    """
    return ~((codes[:, None] != caption_codes) & stated).any(axis=2)
