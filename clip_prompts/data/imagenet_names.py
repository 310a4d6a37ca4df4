"""Name lists of ImageNet: the list curated for CLIP, and checks for other lists."""

import re
from collections.abc import Mapping

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

CLASSES = 1000
# Names that CLIP's authors gave instead of the first synonym of the synset ("cock", "robin", "water ouzel", ...).
CURATED = {
    "n01514668": "rooster", "n01558993": "American robin", "n01601694": "American dipper",
    "n01629819": "fire salamander", "n01630670": "smooth newt", "n01641577": "American bullfrog",
    "n01664065": "loggerhead sea turtle", "n01665541": "leatherback sea turtle",
}  # fmt: skip
# Patterns of most names in other lists: (pattern, description).
_WRONG = (
    (re.compile(r"\W?\d+\b"), "a number in front of the name"),
    (re.compile(r"n\d{8}\b"), "a WordNet id in front of the name"),
    (re.compile(r"(['\"]).*\1,?$"), "quotes around the name"),
    (re.compile(r".*,"), "several synonyms with commas"),
    (re.compile(r".*[;|]|\S+/\S+"), "several synonyms in one name"),
    (re.compile(r".*\.n\.\d+$"), "a WordNet synset, such as tench.n.01"),
)


def odd_names(names: Mapping) -> tuple[int, str, str] | None:
    """Returns a number of names, their pattern and an example if most names are not for prompts; else None.

    Args:
        names: key -> class name.
    """
    for pattern, description in _WRONG:
        wrong = [f"{key} {name}" for key, name in names.items() if pattern.match(name)]
        if 2 * len(wrong) > len(names):
            return len(wrong), description, one_line(wrong[0], 80)
    return None


def check_names(names: Mapping[str, str], path: str, hint: str) -> None:
    """Refuse a list that is obviously not for prompts; warn in one line about any other list that is not CLIP's.

    The curated list has no published checksum, and copies differ in line ends and order. Its number of classes and a
    few of its names identify it.

    Args:
        names: wnid -> class name. path: file that they are from. hint: the next step, for the user.

    Raises UserError: most names have a number, a wnid, quotes or several synonyms; shows one.
    """
    if odd := odd_names(names):
        number, description, example = odd
        raise UserError(
            f"{path} is not the list of names curated for CLIP: {number:,} of {len(names):,} names have "
            f"{description}, such as '{example}', which would become part of the prompts. {hint}"
        )
    curated = sum(names.get(wnid, "") == name for wnid, name in CURATED.items())
    if len(names) != CLASSES or 2 * curated <= len(CURATED):
        what = f"{len(names):,} names" if len(names) != CLASSES else "other names"
        print(
            f"Warning: {path} has {what}, not the {CLASSES:,} that were curated for CLIP: accuracies are not "
            f"comparable with published ones. {hint}"
        )
