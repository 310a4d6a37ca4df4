"""User errors: one line that names the thing, the value and the next step."""

import difflib
from collections.abc import Iterable

from .text import OneLineError, one_line

try:
    from dassl.utils import UserError
except ImportError:  # upstream's Dassl has no such class

    class UserError(OneLineError):
        """Bad input; ``str(error)`` is the one line that the user reads."""


def unknown(kind: str, value: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones, with the closest match.

    >>> str(unknown("trainer", "CoOP", ["CoCoOp", "CoOp"]))
    "Unknown trainer 'CoOP'. Did you mean 'CoOp'? Known: CoCoOp, CoOp"
    """
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value)[:100].lower(), lowered, n=1, cutoff=0.5)
    hint = f" Did you mean '{lowered[close[0]]}'?" if close else ""
    return UserError(f"Unknown {kind} '{one_line(str(value), 100)}'.{hint} Known: {', '.join(names) or 'none'}")
