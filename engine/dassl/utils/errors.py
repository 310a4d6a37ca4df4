"""Errors that a user can cause and fix.

Every class is built from one string, and ``str(error)`` is one line that names the thing, the bad
value and the next step. Programs catch :class:`UserError`, print the line and exit with status 2.
Each class also inherits the built-in type that older clients catch.
"""

import re

_LAST_RAISED = re.compile(r"^[\w.]+: (.*)$", re.MULTILINE)
_LONGEST = 4000  # characters of a message
# Control characters move a terminal's cursor or end the line, marks of direction reorder what is read, invisible
# characters make two names look alike, and lone surrogates cannot be printed.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class UserError(Exception):
    """Base of all errors that need no traceback: bad input, missing files, unknown names."""

    def __str__(self):
        message = str(self.args[0]) if self.args else ""
        if "Original Traceback" in message:
            # A DataLoader worker sends its error home as text: a header, the traceback, and on the
            # last line "package.ErrorClass: message". Only that message is meant for the user.
            raised = _LAST_RAISED.findall(message)
            message = raised[-1] if raised else message
        return _one_line(message)


def _one_line(text):
    """Keep the text in one line, even if it quotes the content of a file."""
    text = printable(re.sub(r"\s*[\r\n]\s*", " ", text[: 2 * _LONGEST].strip()))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def printable(text):
    """Return a name from a file with escapes for all that acts on a terminal, ends a line or cannot be written."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class UnknownNameError(UserError, ValueError):
    """A name that is in no registry or list of choices."""


class RegistryError(UserError, KeyError):
    """A name registered twice, or looked up in a registry that lacks it."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that should exist does not."""


class OutputError(UserError, OSError):
    """A folder or file cannot be written."""


class DownloadError(UserError, OSError):
    """A file could not be fetched."""


class ImageReadError(UserError, OSError):
    """An image file cannot be decoded; the line holds its path and the reason."""


class LoaderWorkerError(UserError, RuntimeError):
    """A process that loads images has died."""


class CheckpointError(UserError, RuntimeError):
    """A checkpoint is corrupt, unsafe or does not fit the model."""


class ConfigError(UserError, ValueError):
    """A config value that cannot work."""


class EmptyDataError(UserError, ZeroDivisionError):
    """An average over nothing was asked for."""


class EvaluationError(UserError, FloatingPointError):
    """The scores of a model are not a number."""


class NonFiniteLossError(UserError, FloatingPointError):
    """The loss became infinite or not a number."""
