"""The choice of a layout for a folder."""

import os
from collections.abc import Collection

from clip_prompts.common.errors import UserError, reading
from clip_prompts.common.files import LIST, read_json
from clip_prompts.common.text import one_line

from .class_folders import list_classes, run_folders
from .listing import PARTS, Listing
from .nested_folders import find_parts, list_domains, list_parts
from .table import SUFFIXES, list_table

TABLES = tuple(f"annotations{suffix}" for suffix in SUFFIXES)


def find_folder(root: str) -> str:
    """Returns the folder that ``DATASET.ROOT`` names, absolute. Raises UserError: it is missing or not named."""
    if not root:
        raise UserError("ImageFolder needs --root, the folder of the pictures (DATASET.ROOT is empty).")
    folder = os.path.abspath(os.path.expanduser(root))
    if not os.path.isdir(folder):
        reason = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise UserError(f"Folder {folder} {reason}. Give --root, the folder of the pictures.")
    return folder


def find_list(folder: str, wanted: str = "") -> str:
    """Returns the path of the file that lists the pictures, or "" if folders do.

    ``wanted``: DATASET.LIST_FILE, a path from ``folder`` on. Without it the folder's ``split_*.json``,
    ``annotations.csv`` or ``annotations.jsonl`` is taken.
    Raises UserError: the wanted file does not exist or is of another kind, or there are several to choose from.
    """
    if wanted:
        path = os.path.join(folder, os.path.expanduser(wanted))
        if not os.path.isfile(path):
            raise UserError(f"DATASET.LIST_FILE: there is no file {path}. Give its name in the folder, or its path.")
        if not path.endswith((*SUFFIXES, ".json")):
            raise UserError(
                f"DATASET.LIST_FILE: {path} does not end in .csv, .jsonl or .json (a split file). Convert it to one "
                "of these formats."
            )
        return path
    with reading(f"Folder {folder}"):
        names = sorted(os.listdir(folder))
    found = [n for n in names if n in TABLES or (n.startswith("split_") and n.endswith(".json"))]
    if len(found) > 1:
        raise UserError(f"{folder} holds several lists: {', '.join(found)}. Choose one: DATASET.LIST_FILE {found[0]}")
    return os.path.join(folder, found[0]) if found else ""


def make_listing(folder: str, list_file: str, domains: Collection[str], output_dir: str = "") -> Listing:
    """Read the layout. ``domains``: those that the run names; they make the folders of ``folder`` domains.

    Folders in ``folder`` that hold runs, ``output_dir`` among them, are no classes.
    Raises UserError for everything in the layout that does not fit together.
    """
    if list_file:
        print(one_line(f"Reading the list of pictures {list_file}"))
        return list_table(list_file, folder)
    if domains:
        return list_domains(folder, domains)
    runs = run_folders(folder, output_dir)
    if runs:
        print(one_line(f"Skipped folders of runs in {folder}: {', '.join(f'{name}/' for name in runs)}"))
    return list_parts(folder, runs) if find_parts(folder) else list_classes(folder, runs)


def image_folder(path: str, folder: str) -> str:
    """Returns the folder that the paths of a split file start from: ``folder``, or one inside it.

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
                "Rename one, or start each path with the name of its folder."
            )
        fitting = whole or fitting
    return fitting[0] if fitting else folder
