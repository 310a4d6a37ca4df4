"""The split file: lists of images for training, validation and testing.

Format (that of the files released with CoOp): a JSON object with the lists ``train``, ``val`` and ``test``;
each entry is ``[path relative to the image folder, label, class name]``, labels from 0. A file that a reader wrote
itself says so under ``made_by``, which upstream's readers ignore.
"""

import json
import os
import reprlib
from collections.abc import Iterable, Sequence

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import LIST, read_json, write_text_atomically
from clip_prompts.common.text import is_unicode, shown

from .checks import check_splits
from .items import UNPACK_AGAIN, Row, leads_outside, relative_paths, to_items

PARTS = ("train", "val", "test")
MADE_BY = "a reader of this toolbox, by the published rule: not the released split"


def read_split(
    filepath: str, path_prefix: str, test_only: bool = False, hint: str = UNPACK_AGAIN
) -> tuple[list, list, list]:
    """Read a split file into three lists of Datum: train, val, test.

    ``path_prefix``: the image folder that the paths in the file start from.
    ``test_only``: the test list is used for training too, so that class names exist; val is empty.
    ``hint``: what the user can do about a missing image.
    Raises UserError, in one line, for everything that is wrong with the file or its images.
    """
    print(f"Reading the split from {filepath}")
    content = _read_json(filepath)
    rows = {part: [_check_row(filepath, part, i, row) for i, row in enumerate(content[part])] for part in PARTS}
    source = f"Split file {filepath}"
    test = to_items(rows["test"], path_prefix, source, hint)
    if test_only:
        train, val = list(test), []
    else:
        train, val = (to_items(rows[part], path_prefix, source, hint) for part in ("train", "val"))
    check_splits(train, val, test, source, test_only=test_only)
    return train, val, test


def save_split(
    train: Sequence, val: Sequence, test: Sequence, filepath: str, path_prefix: str, made_here: bool = False
) -> None:
    """Write three lists of Datum as a split file; ``made_here`` adds where it comes from.

    Raises UserError for an image outside ``path_prefix``.
    """
    rows: dict[str, Sequence[Row]] = {}
    for part, items in zip(PARTS, (train, val, test), strict=True):
        try:
            paths = relative_paths([item.impath for item in items], path_prefix)
        except ValueError as error:
            raise UserError(f"Cannot save the split {filepath}: image {error}.") from error
        rows[part] = [(path, item.label, item.classname) for path, item in zip(paths, items, strict=True)]
    write_rows(rows, filepath, {"made_by": MADE_BY} if made_here else {})
    print(f"Saved the split to {filepath}")


def is_made_here(filepath: str) -> bool:
    """Returns True if a reader wrote the split file itself. Raises UserError."""
    return _read_json(filepath).get("made_by") == MADE_BY


def write_rows(rows: dict[str, Sequence[Row]], filepath: str | os.PathLike, extra: dict | None = None) -> None:
    """Write ``{"train": rows, "val": rows, "test": rows}`` and the ``extra`` keys; a missing part is written empty."""
    content = {part: [list(row) for row in rows.get(part, ())] for part in PARTS} | (extra or {})
    write_text_atomically(filepath, json.dumps(content, indent=4, separators=(",", ": ")))


def _read_json(filepath: str) -> dict:
    try:
        content = read_json(filepath, LIST)
    except OSError as error:
        raise UserError(f"Split file {filepath} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise UserError(f"Split file {filepath} is not JSON ({error}). Download it again or delete it.") from error
    if not isinstance(content, dict):
        raise UserError(f"Split file {filepath} holds a {type(content).__name__}, not an object with {_quoted(PARTS)}.")
    for part in PARTS:
        if not isinstance(content.get(part), list):
            raise UserError(f"Split file {filepath} has no list '{part}'. It needs {_quoted(PARTS)}.")
    return content


def _check_row(filepath: str, part: str, index: int, row: object) -> Row:
    where = f"Split file {filepath}, '{part}' entry {index}"
    if not (isinstance(row, list) and len(row) == 3):
        raise UserError(f"{where} is {shown(row)}, not [path, label, class name].")
    path, label, classname = row
    if not isinstance(path, str) or not path:
        raise UserError(f"{where}: the path is {reprlib.repr(path)}, not text.")
    if type(label) is not int or label < 0:  # bool is an int too, so no isinstance
        raise UserError(f"{where} ({path}): the label is {reprlib.repr(label)}. Labels are whole numbers from 0.")
    if not isinstance(classname, str) or not classname.strip() or not is_unicode(classname):
        raise UserError(f"{where} ({path}): the class name is {reprlib.repr(classname)}, not text.")
    if leads_outside(path):
        raise UserError(f"{where}: the path {path} leads outside the image folder. Paths are relative to it.")
    return path, label, classname


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
