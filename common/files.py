"""Files that get to their place whole. Imports nothing heavy, so that tools can use it."""

import contextlib
import os
import uuid
from pathlib import Path


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
        with open(part, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)
        if durable:
            _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring the folder's entries to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
