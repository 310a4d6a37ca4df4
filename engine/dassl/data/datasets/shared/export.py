"""Data that is published as arrays, written as PNG files once."""

import os
import shutil
import uuid
from contextlib import suppress

from dassl.utils import OutputError, UserError


def export_once(folder, write):
    """Make sure that ``folder`` exists, made by ``write(temporary folder)`` where it does not.

    It gets its name when it is complete, so that an interrupted run leaves nothing half-made and two runs may
    start at once.

    Raises:
        OutputError: the place cannot be written.
    """
    if os.path.isdir(folder):
        return
    parent, name = os.path.split(folder)
    # uuid4 reads the system's entropy, so the seeded generators of a run are not touched.
    work = os.path.join(parent, f".{name}.{uuid.uuid4().hex}")
    try:
        os.makedirs(work)
        print(f"Writing pictures to {folder} (once)")
        write(work)
        try:
            os.rename(work, folder)
        except OSError:
            if not os.path.isdir(folder):  # otherwise another run was first
                raise
    except UserError:  # of what is read; some are an OSError too
        raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f'Cannot write the pictures to "{folder}" ({reason}). Check the permissions and the free space.'
        ) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(work)


def write_pictures(images, paths):
    """Write arrays as PNG files.

    Args:
        images (iterable): uint8 arrays (H, W) or (H, W, 3).
        paths (iterable): file paths, as many; their folders are created.
    """
    from PIL import Image

    made = set()
    for image, path in zip(images, paths, strict=True):
        folder = os.path.dirname(path)
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        Image.fromarray(image).save(path, compress_level=1)
