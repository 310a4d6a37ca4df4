"""Files and folders that are either there whole or not at all, also after a loss of power."""

import contextlib
import os
import re
import shutil
import uuid

from .errors import OutputError

_LEFT_OVER = re.compile(r"\.(.+)\.[0-9a-f]{32}\.tmp")


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``, and is on the disk.

    A reader, or a run that is killed half-way, sees the old file or the new one, never a part of
    it. The folder must exist.
    Raises OutputError: the file cannot be written (no permission, disk full).
    """
    folder, temporary = _temporary(path)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync_folder(folder)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f'Cannot write "{path}" ({reason}). Check the permissions and the free space.') from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


@contextlib.contextmanager
def atomic_folder(path):
    """Yield a temporary folder beside ``path``; on success, with all that was put into it, it becomes ``path``.

    ``path`` must not exist; its parent is created.
    Raises OutputError: the folder cannot be made, or ``path`` exists.
    """
    parent, temporary = _temporary(path)
    try:
        os.makedirs(temporary)
        yield temporary
        os.rename(temporary, path)
        _sync_folder(parent)
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f'Cannot create the folder "{path}" ({reason}). Choose a folder that you may write to.'
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_link(path):
    """Raise OutputError if a path inside an output folder is a link: nothing is written through it."""
    if os.path.islink(path):
        raise OutputError(f'"{path}" is a link, and links are never followed when writing. Remove it.')


def remove_left_over(folder, name=None):
    """Remove what writers that were killed left in a folder: of everything, or only of the file or folder ``name``.

    Only for folders that have one writer, for it also removes what another is about to write.
    """
    for entry in os.listdir(folder) if os.path.isdir(folder) else []:
        match = _LEFT_OVER.fullmatch(entry)
        if match and name in (None, match[1]):
            path = os.path.join(folder, entry)
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def _temporary(path):
    folder, name = os.path.split(os.fspath(path))
    # uuid4 reads the system's entropy, so the seeded generators of a run are not touched.
    return folder, os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")


def _sync(path, flags=os.O_RDWR):
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder):
    """Bring a folder's entries to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        _sync(folder or ".", os.O_RDONLY)
