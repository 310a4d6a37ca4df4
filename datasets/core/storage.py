"""Where files go, and how they get there whole."""

import os
import uuid
from collections.abc import Iterable
from pathlib import Path


def write_text_atomically(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` so that a reader sees the old file or the new one, never a part.

    Creates the folder. Raises OSError where the place cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own per writer: two processes may write the same file at once.
    part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def relative_path(path: str, folder: str) -> str:
    """``path`` relative to ``folder``, with ``/`` between the parts. Raises ValueError when it lies outside."""
    return relative_paths([path], folder)[0]


def relative_paths(paths: Iterable[str], folder: str) -> list[str]:
    """:func:`relative_path` of many paths."""
    prefix = folder.rstrip(os.sep) + os.sep
    start, result = len(prefix), []
    for path in paths:
        inside = path[start:] if path.startswith(prefix) else os.path.relpath(path, folder)
        if os.sep != "/":
            inside = inside.replace(os.sep, "/")
        if inside.startswith("..") and inside.split("/")[0] == "..":
            raise ValueError(f"{path} lies outside {folder}")
        result.append(inside)
    return result
