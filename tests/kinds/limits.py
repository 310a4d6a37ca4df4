"""Limits of time and memory for what untrusted files may cost: a reader that hangs fails its test."""

import contextlib
import faulthandler
import os
import resource
import signal
import sys
from pathlib import Path

SECONDS = 10.0  # of the clock; other programs run at the same time
MEMORY = 2**30  # bytes beside those that the process has
HANGS = 60.0  # seconds; a loop in C hears no alarm, so the process ends with a traceback


class TooSlow(BaseException):
    """Not an Exception, which a reader may turn into a refusal."""


@contextlib.contextmanager
def limited(seconds: float = SECONDS, memory: int = MEMORY):
    """Inside this context, TooSlow is raised after some seconds, and MemoryError at some bytes more."""

    def over(*_):
        raise TooSlow(f"no end after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, over)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, hard))
    faulthandler.dump_traceback_later(HANGS, exit=True, file=sys.__stderr__)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_folder(path: Path) -> None:
    path.mkdir()


def put_loop(path: Path) -> None:
    path.symlink_to(path.name)


def put_socket(path: Path) -> None:
    import socket

    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def put_large(path: Path) -> None:
    """A file without content that says it has a terabyte."""
    with open(path, "wb") as file:
        file.truncate(2**40)


SPECIAL = {
    "FIFO": put_fifo, "device": put_device, "folder": put_folder, "loop of links": put_loop, "socket": put_socket,
    "a terabyte": put_large,
}  # fmt: skip


def is_one_line(text: str) -> bool:
    """True if a message is one line of moderate length that a terminal shows as it is."""
    return 0 < len(text) <= 4100 and text.isprintable()
