"""User errors in one line, and the closest match for a name that is unknown. Imports nothing heavy."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator

from .text import one_line


class UserError(Exception):
    """Bad input; ``str(error)`` is one line that names the thing, the value and the next step.

    The engine has an error of this kind of its own; ``run.errors.user_message`` knows both.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


@contextlib.contextmanager
def reading(what: str, hint: str = "") -> Iterator[None]:
    """Context in which an unreadable file, or one that is not UTF-8, raises a UserError that begins with ``what``."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{what} cannot be read: {reason}. {hint}".rstrip()) from error


def closest(value: object, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Returns the known name that is most like a value, without regard to case; None if none is.

    >>> closest("CoOP", ["CoCoOp", "CoOp"])
    'CoOp'
    """
    lowered = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(value)[:200].lower(), lowered, n=1, cutoff=cutoff)
    return lowered[found[0]] if found else None


def unknown(kind: str, value: object, known: Iterable[str], more: str = "") -> UserError:
    """Returns the error for a name that is not among the known ones, with the closest match.

    >>> str(unknown("trainer", "CoOP", ["CoCoOp", "CoOp"]))
    "Unknown trainer 'CoOP'. Did you mean 'CoOp'? Known: CoCoOp, CoOp"
    """
    names = sorted(known)
    near = closest(value, names)
    hint = f" Did you mean '{near}'?" if near else ""
    return UserError(f"Unknown {kind} '{one_line(str(value), 100)}'.{hint} Known: {', '.join(names) or 'none'}{more}")
