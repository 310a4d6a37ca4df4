"""Files that are read as data and written whole. Imports nothing heavy, so that tools can use it."""

import contextlib
import errno
import json
import math
import os
import re
import stat
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

from .text import one_line

MIB = 2**20
SMALL = MIB  # bytes of a file of a few values: a marker, a pointer
JSON = 64 * MIB  # bytes of records, curves and plans
LIST = 256 * MIB  # bytes of a list of images; ImageNet's split file has 150 MiB
# Values of a JSON file, or lines and cells of a list. Each takes some 60 bytes of memory. ImageNet's split file has
# 7 million.
VALUES = 10_000_000
ASIDE = ".earlier-"  # begins the name of a hidden folder with files that were moved aside
_NONBLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # neither is known to every system
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
# Entries of an output folder that the program writes as folders. All other names with a suffix are files.
_FOLDERS = ("tensorboard", "mid_epoch", "prompt")
_FILES = re.compile(r"\.lock|.*\.(json|csv|txt|pt|tar)|log\.txt.*")


class FileRefused(OSError):
    """A file that is not read or written; ``strerror`` is the reason, ``str(error)`` one line with the path too."""

    def __init__(self, reason: str, path: str | os.PathLike) -> None:
        super().__init__(errno.EINVAL, reason, os.fspath(path))

    def __str__(self) -> str:
        return one_line(f"{os.fsdecode(self.filename)} cannot be used: {self.strerror}")


def open_regular(path: str | os.PathLike, limit: int) -> BinaryIO:
    """Open a regular file of at most ``limit`` bytes for reading. Links to regular files are followed.

    Devices are never opened, and a FIFO never blocks.
    Raises FileRefused: (an OSError) the file is of another kind, or too large. OSError: it cannot be read.
    """
    _check_regular(os.stat(path), path, limit)
    file = open(os.open(path, os.O_RDONLY | _NONBLOCK), "rb")
    try:
        _check_regular(os.fstat(file.fileno()), path, limit)  # another file may have taken its place
    except OSError:
        file.close()
        raise
    return file


def _check_regular(found: os.stat_result, path: str | os.PathLike, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"it is {_kind(found)}, not a regular file", path)
    if found.st_size > limit:
        raise FileRefused(f"it has {found.st_size:,} bytes, and the limit is {limit:,}", path)


def _kind(found: os.stat_result) -> str:
    return next((name for test, name in _KINDS if test(found.st_mode)), "a device")


def read_bytes(path: str | os.PathLike, limit: int) -> bytes:
    """The content of a regular file. Raises FileRefused and OSError, see :func:`open_regular`."""
    with open_regular(path, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:  # files of /proc say that they have no bytes
        raise FileRefused(f"it has more than {limit:,} bytes", path)
    return content


def read_text(
    path: str | os.PathLike, limit: int = JSON, encoding: str = "utf-8-sig", errors: str = "strict", lines: bool = False
) -> str:
    """The content of a regular file as text; line ends stay as they are, a mark of the byte order does not.

    Args:
        lines: the text is a list of lines: refuse more than ``VALUES`` lines and cells.

    Raises FileRefused, OSError: see :func:`open_regular`. UnicodeDecodeError: (a ValueError) it has another encoding.
    """
    content = read_bytes(path, limit)
    if lines and sum(map(content.count, (b"\n", b"\r", b","))) > VALUES:
        raise FileRefused(f"it has more than {VALUES:,} lines and cells", path)
    return content.decode(encoding, errors)


def read_json(path: str | os.PathLike, limit: int = JSON) -> Any:
    """The content of a JSON file in UTF-8. Raises OSError, and ValueError for all that is wrong with its content."""
    return parse_json(read_text(path, limit))


def read_object(path: str | os.PathLike, limit: int = JSON) -> dict[str, Any]:
    """The object in a JSON file of ours; {} if the file is missing or broken, or holds something else."""
    try:
        content = read_json(path, limit)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def parse_json(text: str) -> Any:
    """The content of a JSON text. Raises ValueError, also for too many values, deep nesting and infinite numbers."""
    if sum(map(text.count, ",[{")) > VALUES:
        raise ValueError(f"it has more than {VALUES:,} values")
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def check_output_folder(folder: str | os.PathLike) -> None:
    """Refuse an output folder through which something would be written elsewhere, or which could block a run.

    The folder itself may be a link; its entries may not. Call it before anything is written.
    Raises FileRefused: an entry is a link, a FIFO, a socket or a device, a folder in the place of a file, or too large.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(os.fspath(folder)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            _check_output(entry.path, entry.name)


def _check_output(path: str, name: str) -> None:
    hint = "Remove it, or choose another --output-dir"
    mode = os.lstat(path)
    if stat.S_ISLNK(mode.st_mode):
        raise FileRefused(f"it is a link, and nothing is written through links in an output folder. {hint}", path)
    is_folder = stat.S_ISDIR(mode.st_mode)
    if name.endswith(".json") and stat.S_ISREG(mode.st_mode) and mode.st_size > JSON:
        raise FileRefused(f"it has {mode.st_size:,} bytes, and the limit is {JSON:,}. {hint}", path)
    wrong_kind = is_folder if _FILES.fullmatch(name) else not is_folder and name in _FOLDERS
    if wrong_kind or not (is_folder or stat.S_ISREG(mode.st_mode)):
        kind = _kind(mode) if not stat.S_ISREG(mode.st_mode) else "a file"
        raise FileRefused(f"it is {kind}. {hint}", path)


def open_to_write(path: str | os.PathLike, flags: int = os.O_TRUNC) -> int:
    """Open a regular file for reading and writing, creating it where there is none, and return its descriptor.

    Raises FileRefused: (an OSError) the path is a link, or a file of another kind. OSError: it cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK | flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileRefused("it is a link, and nothing is written through links", path) from error
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise FileRefused(f"it is {_kind(found)}, not a regular file", path)
    return handle


def move_aside(folder: str | os.PathLike, files: Iterable[Path]) -> Path:
    """Move files of a folder, in order, into a new hidden folder in it, and return that folder.

    JSON files get another name, so that no report reads them.
    """
    target = Path(folder) / f"{ASIDE}{datetime.now(timezone.utc).strftime('%Y%m%d-%H%M%S-%f')}"
    target.mkdir()
    for path in files:
        os.replace(path, target / (f"{path.name}.earlier" if path.suffix == ".json" else path.name))
    return target


def write_text_atomically(path: str | os.PathLike, text: str, durable: bool = False) -> None:
    """:func:`write_bytes_atomically` of ``text`` in UTF-8."""
    write_bytes_atomically(path, text.encode("utf-8"), durable)


def write_bytes_atomically(path: str | os.PathLike, content: bytes, durable: bool = False) -> None:
    """Write ``content`` so that a reader sees the old file or the new one, never a part.

    Creates the folder. ``durable``: when this returns, the file also survives a loss of power (fsync, slow).
    Raises FileRefused: (an OSError) the path is a link, a folder, a device or a FIFO. OSError: it cannot be written.
    """
    path = Path(path)
    check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own per writer: two processes may write the same file at once.
    part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(content)
        replace_durably(part, path) if durable else os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # a full disk has no name of a file
    finally:
        part.unlink(missing_ok=True)


def check_target(path: str | os.PathLike) -> None:
    """Refuse a place for a file that something else has taken. Raises FileRefused: a link, a folder, a device, a FIFO.

    A file is written next to its place and renamed, which would remove what is there: root may replace even /dev/null.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        mode = os.lstat(path)
        if stat.S_ISLNK(mode.st_mode):
            raise FileRefused("it is a link, and nothing is written through links", path)
        if not stat.S_ISREG(mode.st_mode):
            raise FileRefused(f"it is {_kind(mode)}, not a regular file", path)


def replace_durably(part: str | os.PathLike, path: str | os.PathLike) -> None:
    """Put a finished file in the place of another; when this returns, that survives a loss of power."""
    _sync(part, os.O_RDWR)
    os.replace(part, path)
    with contextlib.suppress(OSError):  # not every file system can do that with a folder
        _sync(os.path.dirname(path) or ".", os.O_RDONLY)


def _sync(path: str | os.PathLike, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
