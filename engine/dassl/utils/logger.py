"""A copy of everything printed to stdout, in a text file.

A name from a file may hold control characters, which would drive the terminal: they are written as escapes.
"""

import contextlib
import io
import os
import re
import sys
import time

from .errors import OutputError, printable
from .regular_files import open_to_write
from .tools import mkdir_if_missing


class Logger(io.TextIOBase):
    """A text stream that writes to the console and, when ``fpath`` is given, to a file.

    The file is UTF-8 whatever the locale, and flushed at each line end, so that a killed run
    leaves its last lines. Closing closes the file only: the console belongs to the process.

    Args:
        fpath (str or None): the log file; an existing one is overwritten, its folder is created.

    Raises OutputError: the file cannot be opened; the console is untouched.
    """

    def __init__(self, fpath=None):
        super().__init__()
        self.console = sys.stdout
        self.file, self.path = None, fpath
        if fpath is None:
            return
        parent = os.path.dirname(fpath)
        if parent:
            mkdir_if_missing(parent)
        try:
            self.file = open_to_write(fpath)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(
                f'Cannot write the log file "{fpath}" ({reason}). Choose another --output-dir or fix its permissions.'
            ) from error

    def write(self, message):
        """Write to both; returns the number of characters, as text streams do.

        Raises OutputError: the file cannot be written any more.
        """
        length, message = len(message), _without_control(message)
        try:
            self.console.write(message)
        except UnicodeEncodeError:
            # A console in a narrow locale: escape what it cannot show, the file keeps the text.
            encoding = self.encoding
            self.console.write(message.encode(encoding, "backslashreplace").decode(encoding))
        self._to_file(lambda file: file.write(message))
        return length

    def flush(self):
        """Flush both, and the file down to the disk."""
        # The interpreter may have closed the console before this object is finalised.
        if not getattr(self.console, "closed", False):
            self.console.flush()
        self._to_file(lambda file: (file.flush(), os.fsync(file.fileno())))

    def _to_file(self, action):
        """Raises OutputError where the file cannot be written; from then on only the console is."""
        if self.file is None:
            return
        try:
            action(self.file)
        except OSError as error:
            path, reason = self.path, error.strerror or error
            self._close_file()
            raise OutputError(
                f'Cannot write the log file "{path}" ({reason}). Check the permissions and the free space.'
            ) from error

    def _close_file(self):
        file, self.file = self.file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take is given up
                file.close()

    def close(self):
        """Close the file, and give stdout back to the console if this logger has replaced it."""
        if sys.stdout is self:
            sys.stdout = self.console
        if self.file is not None:
            self._close_file()
            with contextlib.suppress(ValueError, OSError):
                self.console.flush()

    def __del__(self):
        # The default finaliser of io objects would go through close() on half-built objects too.
        if self.__dict__.get("file") is not None:
            self._close_file()

    # Anything else that a library asks of stdout is a fact about the console.

    def isatty(self):
        return self.console.isatty()

    def fileno(self):
        return self.console.fileno()

    def writable(self):
        return True

    @property
    def encoding(self):
        return getattr(self.console, "encoding", None) or "utf-8"

    @property
    def errors(self):
        return getattr(self.console, "errors", None) or "strict"

    @property
    def buffer(self):
        return self.console.buffer


def _without_control(text):
    """Return printed text with escapes for control characters, but for ends of lines, returns and tabs."""
    if text.isprintable():
        return text
    return "".join(part if part in "\n\r\t" else printable(part) for part in re.split(r"([\n\r\t])", text))


def setup_logger(output=None):
    """From now on copy stdout into a log file.

    Args:
        output (str or None): a path ending in ``.txt`` or ``.log`` is the file itself, any other is
            the folder of ``log.txt``. None does nothing. A file that exists is kept: the new one
            gets the time as a suffix.

    Raises OutputError: the folder cannot be created or the file not opened.
    """
    if output is None:
        return
    output = os.fspath(output)
    fpath = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
    if os.path.lexists(fpath):
        fpath += time.strftime("-%Y-%m-%d-%H-%M-%S")
    stem, count = fpath, 1
    while os.path.lexists(fpath):  # two runs within one second
        count += 1
        fpath = f"{stem}-{count}"
    previous = sys.stdout
    if isinstance(previous, Logger):
        # A second run in the same process: its lines do not belong into the first run's log.
        previous.close()
    sys.stdout = Logger(fpath)
