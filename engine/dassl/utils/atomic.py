"""Files that are either written whole or not at all."""

import contextlib
import os
import uuid

from .errors import OutputError


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``.

    A reader, or a run that is killed half-way, sees the old file or the new one, never a part of
    it. The folder must exist.

    Raises:
        OutputError: the file cannot be written (no permission, disk full).
    """
    folder, name = os.path.split(os.fspath(path))
    # uuid4 reads the system's entropy, so the seeded generators of a run are not touched.
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f'Cannot write "{path}" ({reason}). Check the permissions and the free space.') from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
