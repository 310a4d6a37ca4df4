"""Bad input of a sweep. ``clip_prompts.common.errors`` would import PyTorch, and a sweep should answer at once."""

import difflib
from collections.abc import Iterable

from clip_prompts.common.text import OneLineError


class SweepError(OneLineError):
    """One line that names the thing, the value and the next step; exit status 2."""


def unknown(kind: str, value: str, known: Iterable[str], more: str = "") -> SweepError:
    """The error for a name that is not among the known ones, with the closest of them."""
    names = sorted(known)
    close = difflib.get_close_matches(str(value).lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    hint = next((f" Did you mean '{n}'?" for n in names if close and n.lower() == close[0]), "")
    return SweepError(f"Unknown {kind} '{value}'.{hint} Known: {', '.join(names) or 'none'}{more}")
