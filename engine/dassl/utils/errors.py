"""Errors that a user can cause and mend.

Every class is built from one string, and ``str(error)`` is one line that names the thing, the bad
value and the next step. Programs catch :class:`UserError`, print the line and exit with status 2.
Each class also inherits the built-in type that older clients catch.
"""

import re

_LAST_RAISED = re.compile(r"^[\w.]+: (.*)$", re.MULTILINE)


class UserError(Exception):
    """Base of all errors that need no traceback: bad input, missing files, unknown names."""

    def __str__(self):
        message = str(self.args[0]) if self.args else ""
        if "Original Traceback" in message:
            # A DataLoader worker sends its error home as text: a header, the traceback, and on the
            # last line "package.ErrorClass: message". Only that message is meant for the user.
            raised = _LAST_RAISED.findall(message)
            message = raised[-1] if raised else message
        return message


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


class CheckpointError(UserError, RuntimeError):
    """A checkpoint is corrupt, unsafe or does not fit the model."""


class ConfigError(UserError, ValueError):
    """A config value that cannot work."""


class EmptyDataError(UserError, ZeroDivisionError):
    """An average over nothing was asked for."""


class NonFiniteLossError(UserError, FloatingPointError):
    """The loss became infinite or not a number."""
