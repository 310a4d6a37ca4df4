"""Section 8: the log."""

import gc
import io
import logging as standard
import os
import random
import re
import sys
from unittest import mock

from dassl.utils import Logger, set_random_seed, setup_logger

from .support import OURS, differs


class Console(io.StringIO):
    """A console that tells whether it was closed, and stays readable."""

    is_closed = False

    def close(self):
        self.is_closed = True


def logging(output, *texts):
    """Print the texts while setup_logger is in effect; returns the console."""
    console = Console()
    with mock.patch.multiple(sys, stdout=console):
        setup_logger(output)
        logger = sys.stdout
        for text in texts:
            print(text)
        logger.flush()
        if logger is not console:
            sys.stdout = console
            file, logger.file = getattr(logger, "file", None), None
            if file is not None:
                file.close()
    return console


def test_nothing():
    """setup_logger(None) does nothing."""
    before = sys.stdout
    setup_logger(None)
    assert sys.stdout is before


def test_place(tmp_path):
    """A path that ends with .txt or .log is the file, another the folder of log.txt; what is printed goes to both."""
    for output, path in (("new", "new/log.txt"), ("a.txt", "a.txt"), ("b.log", "b.log")):
        console = logging(str(tmp_path / output), "one", "two")
        assert console.getvalue() == "one\ntwo\n"
        assert (tmp_path / path).read_text() == "one\ntwo\n"


def test_suffix(tmp_path):
    """An existing file is kept; the new one has the time as a suffix."""
    logging(str(tmp_path), "one")
    logging(str(tmp_path), "two")
    assert (tmp_path / "log.txt").read_text() == "one\n"
    (other,) = (p for p in tmp_path.iterdir() if p.name != "log.txt")
    assert re.fullmatch(r"log\.txt-\d{4}(-\d\d){5}", other.name), other.name
    assert other.read_text() == "two\n"


def test_stderr_is_not_copied(tmp_path):
    """sys.stdout is replaced for everybody; stderr is not captured."""
    root, errors = tmp_path, io.StringIO()
    with mock.patch.multiple(sys, stderr=errors):
        console = Console()
        with mock.patch.multiple(sys, stdout=console):
            setup_logger(str(root))
            sys.stdout.write("out\n")
            sys.stderr.write("err\n")
            sys.stdout.flush()
    assert errors.getvalue() == "err\n"
    assert (root / "log.txt").read_text() == "out\n"


def test_logger(tmp_path):
    """Logger(None) writes to the console alone; Logger(path) to both; closed, the file is complete."""
    console, path = Console(), tmp_path / "new" / "log.txt"
    with mock.patch.multiple(sys, stdout=console):
        alone, both = Logger(), Logger(str(path))
        alone.write("a")
        both.write("b")
        both.flush()
        both.close()
    assert (console.getvalue(), path.read_text()) == ("ab", "b")


def test_written():
    """write returns None."""
    with mock.patch.multiple(sys, stdout=Console()):
        result = Logger().write("abc")
    differs(result == 3, "log-is-a-stream")
    assert result is None


def test_stream():
    """It has no isatty, fileno, encoding, buffer, errors, writable."""
    with mock.patch.multiple(sys, stdout=Console()):
        made = Logger()
        has = [hasattr(made, name) for name in ("isatty", "encoding", "errors", "writable")]
        differs(all(has) and made.isatty() is False and made.writable(), "log-is-a-stream")
    assert not any(has), "it has some of them"


def test_context():
    """Its context manager yields None."""
    with mock.patch.multiple(sys, stdout=Console()):
        made = Logger()
        with made as entered:
            pass
    differs(entered is made, "log-is-a-stream")
    assert entered is None


def test_closing(tmp_path):
    """close() also closes the console."""
    console = Console()
    with mock.patch.multiple(sys, stdout=console):
        Logger(str(tmp_path / "log.txt")).close()
    differs(not console.is_closed, "console-stays-open")


def test_bare_file_name(tmp_path):
    """setup_logger("log.txt"), whose parent is the empty string, fails, and the console is closed when the Logger is
    finalised.
    """
    before, place, console = os.getcwd(), tmp_path, Console()
    os.chdir(place)
    try:
        logging("log.txt", "line")
    except FileNotFoundError:
        gc.collect()
        assert not OURS
        return
    finally:
        os.chdir(before)
    differs((place / "log.txt").read_text() == "line\n" and not console.is_closed, "bare-file-names")


def test_seed_zero():
    """set_random_seed(0) is a seed as any other."""
    set_random_seed(0)
    assert random.random() == 0.8444218515250481


def test_other_loggers_stay():
    """Importing dassl calls logging.disable(WARNING), which silences every library's INFO and WARNING."""
    differs(standard.root.manager.disable == 0, "logging-untouched")
    assert standard.root.manager.disable == standard.WARNING
