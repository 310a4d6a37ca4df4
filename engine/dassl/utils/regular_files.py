"""Opens regular files only: a device or a FIFO in place of a file cannot block a run or fill the memory."""

import errno
import os
import stat

MAX_TEXT = 256 * 2**20  # bytes of a JSON file or a list of images
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
_NONBLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # neither is known to every system
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def open_regular(path):
    """Open a regular file for reading bytes. Links to regular files are followed.

    Devices are never opened, and a FIFO never blocks.
    Raises OSError: the file is of another kind, or cannot be read.
    """
    _check(os.stat(path), path)
    file = open(os.open(path, os.O_RDONLY | _NONBLOCK), "rb")
    try:
        _check(os.fstat(file.fileno()), path)  # another file may have taken its place
    except OSError:
        file.close()
        raise
    return file


def read_text(path, limit=MAX_TEXT, errors="strict"):
    """Return the content of a regular file in UTF-8.

    Raises:
        OSError: the file is of another kind, has more than ``limit`` bytes, or cannot be read.
        UnicodeDecodeError: (a ValueError) it has another encoding.
    """
    with open_regular(path) as file:
        is_large = os.fstat(file.fileno()).st_size > limit
        content = b"" if is_large else file.read(limit + 1)
    if is_large or len(content) > limit:
        raise OSError(errno.EINVAL, f"it has more than {limit:,} bytes", os.fspath(path))
    return content.decode("utf-8", errors)


def open_to_write(path):
    """Open a regular file for writing text in UTF-8, emptied. Links are not followed, and a FIFO never blocks.

    Raises OSError: the path is a link, a file of another kind, or cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NOFOLLOW | _NONBLOCK, 0o666)
    try:
        _check(os.fstat(handle), path)
    except OSError:
        os.close(handle)
        raise
    return open(handle, "w", encoding="utf-8", buffering=1)


def _check(found, path):
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "a device")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", os.fspath(path))
