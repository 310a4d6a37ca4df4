"""Errors that a user can mend: one line that names the thing, the value and the next step."""

import difflib
from collections.abc import Iterable

try:
    from dassl.utils import UserError
except ImportError:  # upstream's Dassl has no such class
    from .text import OneLineError

    class UserError(OneLineError):
        """Bad input; ``str(error)`` is the one line that the user reads."""


def unknown(kind: str, value: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones, with the closest match.

    >>> str(unknown("trainer", "CoOP", ["CoCoOp", "CoOp"]))
    "Unknown trainer 'CoOP'. Did you mean 'CoOp'? Known: CoCoOp, CoOp"
    """
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value).lower(), lowered, n=1, cutoff=0.5)
    hint = f" Did you mean '{lowered[close[0]]}'?" if close else ""
    return UserError(f"Unknown {kind} '{value}'.{hint} Known: {', '.join(names) or 'none'}")
