"""Layout ``DIR/split_*.json``: which folder its paths start from."""

import os

from common.files import LIST, read_json


def image_folder(path: str, folder: str) -> str:
    """The folder that the first path of the split file at ``path`` starts from: ``folder``, or one inside it.

    The released split files start from a folder as ``images``. ``folder`` where neither holds the picture, or where
    the file is broken, which its reader says.
    """
    try:
        content = read_json(path, LIST)
        first = next(row[0] for part in ("train", "test") for row in content[part])
        inside = [folder, *sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())]
        return next((place for place in inside if os.path.isfile(os.path.join(place, first))), folder)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return folder
