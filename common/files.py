"""Files that are read as data and written whole. Imports nothing heavy, so that tools can use it."""

import contextlib
import json
import math
import os
import uuid
from pathlib import Path


def read_json(path: str | os.PathLike) -> object:
    """The content of a JSON file in UTF-8. Raises OSError, and ValueError for all that is wrong with its content."""
    with open(path, encoding="utf-8") as file:
        return parse_json(file.read())


def parse_json(text: str) -> object:
    """The content of a JSON text. Raises ValueError, also for lists nested too deeply and for infinite numbers."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def write_text_atomically(path: str | os.PathLike, text: str, durable: bool = False) -> None:
    """:func:`write_bytes_atomically` of ``text`` in UTF-8."""
    write_bytes_atomically(path, text.encode("utf-8"), durable)


def write_bytes_atomically(path: str | os.PathLike, content: bytes, durable: bool = False) -> None:
    """Write ``content`` so that a reader sees the old file or the new one, never a part.

    Creates the folder. ``durable``: when this returns, the file also survives a loss of power (fsync, slow).
    Raises OSError where the place cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own per writer: two processes may write the same file at once.
    part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(content)
        replace_durably(part, path) if durable else os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
