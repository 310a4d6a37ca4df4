"""Text of strangers in one line: what a message may show of a file's content. Imports nothing heavy."""

import json
import re
import reprlib

LIMIT = 4000  # characters of a message
# Control characters move a terminal's cursor or end the line; lone surrogates cannot be printed.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class OneLineError(Exception):
    """Base of errors that a user can mend; ``str(error)`` is one line whatever stands in the message."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str, limit: int = LIMIT) -> str:
    """``text`` with spaces for line breaks, escapes for control characters, and no more than ``limit`` characters.

    >>> one_line("a\\nb\\x1b[2J")
    'a b\\\\x1b[2J'
    """
    text = re.sub(r"\s*[\r\n]\s*", " ", text[: 2 * limit].strip())
    text = _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."


def shown(value: object) -> str:
    """A value that was read from JSON or the like, as JSON, in no more than 80 characters.

    >>> shown(["a.jpg", True])
    '["a.jpg", true]'
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # of another kind, or nested too deeply
        text = reprlib.repr(value)
    return one_line(text, 80)
