"""Class names of folders, and of labels: ``classnames.txt`` or the folder's name."""

import os
import re
from collections.abc import Iterable

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line
from clip_prompts.data.annotations import read_lines
from clip_prompts.data.imagenet_names import odd_names

FILE = "classnames.txt"


def name_folders(folder: str, keys: Iterable[str]) -> dict[str, str]:
    """Returns the class name of every class folder: from ``classnames.txt``, or its name with spaces for ``_``.

    Raises UserError: a class without a name, or two of one name.
    """
    keys = list(keys)
    if os.path.lexists(os.path.join(folder, FILE)):  # a broken link is an error, not a missing file
        return name_by_file(folder, keys)
    names = {key: " ".join(key.replace("_", " ").split()) for key in keys}
    for key, name in names.items():
        if not name:
            raise UserError(f"Class folder '{key}' in {folder} gives no class name. Rename it, or write {FILE}.")
    return _unique(names, f"Class folders in {folder}")


def name_by_file(folder: str, keys: Iterable) -> dict:
    """Returns the class name of every key (folder or label) in ``classnames.txt``, which may name more.

    One line a class: folder (or label), a space, the name, which may hold spaces; where a folder's name holds
    spaces, a tab separates the two. Raises UserError.
    """
    path = os.path.join(folder, FILE)
    known: dict[str, str] = {}
    for line in read_lines(path):
        key, _, name = (part.strip() for part in line.partition("\t" if "\t" in line else " "))
        if not name:
            raise UserError(f"{path}: '{line}' is not a class folder, a space and a class name.")
        if known.setdefault(key, name) != name:
            raise UserError(f"{path} lists '{key}' twice: '{known[key]}' and '{name}'.")
    names = {}
    for key in keys:
        if str(key) not in known:
            raise UserError(f"{path} has no line for the class '{key}'. Add one: {key} NAME")
        names[key] = known[str(key)]
    return _unique(names, path)


def _unique(names: dict, source: str) -> dict:
    owner: dict = {}
    if odd := odd_names({key: name for key, name in names.items() if not re.fullmatch(r"\d+", name)}):
        number, description, example = odd
        print(
            one_line(
                f"Note: {source}: {number:,} of {len(names):,} class names have {description}, such as '{example}'. "
                f"The prompts hold it. To give other names, write {FILE}: a line per class, FOLDER NAME"
            )
        )
    for key, name in names.items():
        if name in owner:
            raise UserError(
                f"{source}: the class name '{name}' is given twice, to '{owner[name]}' and to '{key}'. Merge or rename."
            )
        owner[name] = key
    return names
