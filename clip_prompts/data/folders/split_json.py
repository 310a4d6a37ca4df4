"""Layout ``DIR/split_*.json``: which folder its paths start from."""

import os

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import LIST, read_json
from clip_prompts.data.split_file import PARTS


def image_folder(path: str, folder: str) -> str:
    """The folder that the paths of the split file at ``path`` start from: ``folder``, or one inside it.

    The released split files start from a folder as ``images``. Of several that hold the first picture, it is the one
    that holds all. ``folder`` if none does, or if the file is broken, which its reader says.
    Raises UserError: the paths fit several folders.
    """
    try:
        content = read_json(path, LIST)
        paths = [row[0] for part in PARTS for row in content[part]]
        inside = [folder, *sorted(e.path for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))]
        if not all(isinstance(each, str) for each in paths):
            return folder
        fitting = [place for place in inside if os.path.isfile(os.path.join(place, paths[0]))]
    except (OSError, ValueError, LookupError, TypeError):
        return folder
    if len(fitting) > 1:
        whole = [place for place in fitting if all(os.path.isfile(os.path.join(place, each)) for each in paths)]
        if len(whole) > 1:
            raise UserError(
                f"The paths of split file {path} fit several folders: {whole[0]} and {whole[1]} both hold {paths[0]}. "
                "Rename one, or begin the paths with the folder that is meant."
            )
        fitting = whole or fitting
    return fitting[0] if fitting else folder
