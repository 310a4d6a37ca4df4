"""Untrusted text, made safe for the place it is written to. Imports nothing heavy.

``one_line`` is for messages and ``printable`` for names; both are safe on a terminal and in a log. ``markdown`` and
``csv_cell`` are for those formats, on top of ``printable``. LaTeX cells are escaped by tabulate, HTML by Jinja.
"""

import itertools
import json
import re

LIMIT = 4000  # characters of a message
# Control characters move a terminal's cursor or end the line, marks of direction reorder what is read, invisible
# characters make two names look alike, and lone surrogates cannot be printed. Joiners (U+200C, U+200D) are kept: some
# scripts need them. Private characters are marks of this program.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ue000\ue001\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|^[#+-](?=\s)")
_ENTITY = re.compile(r"&(?=#|\w+;)")
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(text: str, limit: int = LIMIT) -> str:
    """``text`` with spaces for line breaks, escapes for control characters, and no more than ``limit`` characters.

    >>> one_line("a\\nb\\x1b[2J")
    'a b\\\\x1b[2J'
    """
    text = printable(re.sub(r"\s*[\r\n]\s*", " ", text[: 2 * limit].strip()))
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."


def printable(text: str) -> str:
    """``text`` with escapes for all characters that act on a terminal, end a line or cannot be written as UTF-8.

    >>> printable("a\\nb\\x1b[2J")
    'a\\\\nb\\\\x1b[2J'
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_unicode(text: str) -> bool:
    """True if a text can be written as UTF-8. File names may hold other bytes, which Python reads as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """A value that was read from a file, as JSON, in no more than 80 characters.

    >>> shown(["a.jpg", True])
    '["a.jpg", true]'
    """
    try:
        # In pieces: lists that hold each other many times have no end.
        pieces = json.JSONEncoder(ensure_ascii=False, skipkeys=True, default=_kind).iterencode(value)
        text = "".join(itertools.islice(pieces, 100))
    except (ValueError, RecursionError):  # a number of more than 4,300 digits, or a list that holds itself
        text = _kind(value)
    return one_line(text, 80)


def _kind(value: object) -> str:
    return type(value).__name__


def markdown(text: str) -> str:
    """A name or a sentence for GitHub's Markdown: no link, tag, code, emphasis, formula or cell starts in it.

    >>> markdown("<b>[a](javascript:x)|")
    '&lt;b&gt;\\\\[a\\\\](javascript:x)\\\\|'
    """
    text = _ENTITY.sub("&amp;", printable(text)).replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", text)


def csv_cell(value: object) -> object:
    """A value for a CSV file: a text that a spreadsheet would run as a formula gets a leading ``'``.

    >>> csv_cell("=1+1"), csv_cell("-1.5"), csv_cell(-1.5)
    ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(value, str):
        return value
    mark = "'" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else ""
    return mark + printable(value)
