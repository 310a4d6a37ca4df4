"""Section 8: the log."""

import io
import re
import sys

from ..checking import check, differs, equal, folder, patched


class Console(io.StringIO):
    """A console that tells whether it was closed, and stays readable."""

    is_closed = False

    def close(self):
        self.is_closed = True


def logging(output, *texts):
    """Print the texts while setup_logger is in effect; returns the console."""
    from dassl.utils import setup_logger

    console = Console()
    with patched(sys, stdout=console):
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


@check("dassl.utils.setup_logger")
def nothing():
    """setup_logger(None) does nothing."""
    from dassl.utils import setup_logger

    before = sys.stdout
    setup_logger(None)
    assert sys.stdout is before


@check("dassl.utils.setup_logger", "file:{OUTPUT_DIR}/log.txt")
def place():
    """A path that ends with .txt or .log is the file, another the folder of log.txt; what is printed goes to both."""
    root = folder()
    for output, path in (("new", "new/log.txt"), ("a.txt", "a.txt"), ("b.log", "b.log")):
        console = logging(str(root / output), "one", "two")
        equal(console.getvalue(), "one\ntwo\n")
        equal((root / path).read_text(), "one\ntwo\n")


@check("dassl.utils.setup_logger", "file:{OUTPUT_DIR}/log.txt")
def suffix():
    """An existing file is kept; the new one has the time as a suffix."""
    root = folder()
    logging(str(root), "one")
    logging(str(root), "two")
    equal((root / "log.txt").read_text(), "one\n")
    (other,) = (p for p in root.iterdir() if p.name != "log.txt")
    assert re.fullmatch(r"log\.txt-\d{4}(-\d\d){5}", other.name), other.name
    equal(other.read_text(), "two\n")


@check("dassl.utils.setup_logger")
def stderr_is_not_copied():
    """sys.stdout is replaced for everybody; stderr is not captured."""
    root, errors = folder(), io.StringIO()
    with patched(sys, stderr=errors):
        from dassl.utils import setup_logger

        console = Console()
        with patched(sys, stdout=console):
            setup_logger(str(root))
            sys.stdout.write("out\n")
            sys.stderr.write("err\n")
            sys.stdout.flush()
    equal(errors.getvalue(), "err\n")
    equal((root / "log.txt").read_text(), "out\n")


@check("dassl.utils.Logger", "dassl.utils.Logger.write", "dassl.utils.Logger.flush", "dassl.utils.Logger.close")
def logger():
    """Logger(None) writes to the console alone; Logger(path) to both; closed, the file is complete."""
    from dassl.utils import Logger

    console, path = Console(), folder() / "new" / "log.txt"
    with patched(sys, stdout=console):
        alone, both = Logger(), Logger(str(path))
        alone.write("a")
        both.write("b")
        both.flush()
        both.close()
    equal((console.getvalue(), path.read_text()), ("ab", "b"))


@check("dassl.utils.Logger.write")
def written():
    """write returns None."""
    from dassl.utils import Logger

    with patched(sys, stdout=Console()):
        result = Logger().write("abc")
    differs(result == 3, "log-is-a-stream")
    equal(result, None)


@check("dassl.utils.Logger")
def stream():
    """It has no isatty, fileno, encoding, buffer, errors, writable."""
    from dassl.utils import Logger

    with patched(sys, stdout=Console()):
        made = Logger()
        has = [hasattr(made, name) for name in ("isatty", "encoding", "errors", "writable")]
        differs(all(has) and made.isatty() is False and made.writable(), "log-is-a-stream")
    assert not any(has), "it has some of them"


@check("dassl.utils.Logger")
def context():
    """Its context manager yields None."""
    from dassl.utils import Logger

    with patched(sys, stdout=Console()):
        made = Logger()
        with made as entered:
            pass
    differs(entered is made, "log-is-a-stream")
    equal(entered, None)


@check("dassl.utils.Logger.close")
def closing():
    """close() also closes the console."""
    from dassl.utils import Logger

    console = Console()
    with patched(sys, stdout=console):
        Logger(str(folder() / "log.txt")).close()
    differs(not console.is_closed, "console-stays-open")


@check("dassl.utils.Logger", "dassl.utils.setup_logger")
def bare_file_name():
    """setup_logger("log.txt"), whose parent is the empty string, fails, and the console is closed when the Logger is
    finalised.
    """
    import gc
    import os

    before, place, console = os.getcwd(), folder(), Console()
    os.chdir(place)
    try:
        logging("log.txt", "line")
    except FileNotFoundError:
        gc.collect()
        return
    finally:
        os.chdir(before)
    differs((place / "log.txt").read_text() == "line\n" and not console.is_closed, "bare-file-names")


@check("dassl.utils.set_random_seed")
def seed_zero():
    """set_random_seed(0) is a seed as any other."""
    import random

    from dassl.utils import set_random_seed

    set_random_seed(0)
    equal(random.random(), 0.8444218515250481)


@check("dassl.config", "dassl.utils")
def other_loggers_stay():
    """Importing dassl calls logging.disable(WARNING), which silences every library's INFO and WARNING."""
    import logging as standard

    import dassl.engine  # noqa: F401

    differs(standard.root.manager.disable == 0, "logging-untouched")
    equal(standard.root.manager.disable, standard.WARNING)
