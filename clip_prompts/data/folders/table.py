"""Layout ``DIR/annotations.csv`` or ``.jsonl``: one line per picture.

Columns (in a CSV file its first line names them; in JSON-lines the keys of every object):

- ``path``: relative to DIR, inside it; links are followed;
- ``label``, a whole number from 0, or ``classname``, or both. Labels alone get their names from ``classnames.txt``
  (text in place of numbers is the class name); names alone are numbered in sorted order;
- ``split``: train, val or test (or as ``SPELLINGS`` has them), optional;
- ``domain``: optional.
"""

import posixpath
from collections.abc import Iterable

from clip_prompts.common.errors import UserError, unknown
from clip_prompts.data.annotations import whole_number
from clip_prompts.data.items import leads_outside

from .listing import PARTS, SPELLINGS, Listing, Picture
from .names import name_by_file
from .table_rows import read_csv, read_json_lines

SUFFIXES = (".csv", ".jsonl")


def list_table(path: str, folder: str) -> Listing:
    """Read the file at ``path``; the pictures are in ``folder``. Raises UserError with the file and the line."""
    columns, rows = (read_csv if path.endswith(".csv") else read_json_lines)(path)
    if "path" not in columns:
        hint = "Separate them by commas" if any(mark in columns[0] for mark in ";\t") else "Its first line names them"
        raise UserError(f"List {path} has no column 'path'. It has: {', '.join(columns)}. {hint}: path,classname")
    if not {"label", "classname"} & set(columns):
        raise UserError(f"List {path} has no column 'label' or 'classname'. It has: {', '.join(columns)}")
    pictures, seen = [], {}
    classes = _Classes(path, columns)
    for line, row in rows:
        where = f"List {path}, line {line}"
        image = _image(row["path"], where)
        if image in seen:
            raise UserError(f"{where}: {image} is listed twice, first on line {seen[image]}. Remove one line.")
        seen[image] = line
        part = row.get("split", "")
        part = SPELLINGS.get(part.lower(), part)
        if "split" in columns and part not in PARTS:
            raise unknown(f"split in {path}, line {line}:", part, PARTS)
        if "domain" in columns and not row["domain"]:
            raise UserError(f"{where}: the domain of {image} is empty.")
        pictures.append(Picture(image, classes.key(row, line), part, row.get("domain", "")))
    if not pictures:
        raise UserError(f"List {path} names no pictures: below its columns it is empty.")
    return Listing(f"List {path}", pictures, classes.names(folder, sorted({picture.key for picture in pictures})))


def _image(path: str, where: str) -> str:
    clean = path.replace("\\", "/")
    if "\0" in path:
        raise UserError(f"{where}: the path {path} holds a NUL byte. No file has such a name: correct the list.")
    if not clean:
        raise UserError(f"{where}: the path is empty.")
    if leads_outside(clean) or clean[1:2] == ":":
        raise UserError(f"{where}: the path {path} leads outside the folder. Paths are relative to it.")
    return posixpath.normpath(clean)


class _Classes:
    """Keys and names of the classes, in what order and by which columns a file may give them."""

    def __init__(self, path: str, columns: list[str]):
        self.path, self.columns = path, columns
        self.numbered: bool | None = None  # whether labels are numbers; as the first line has it
        self.named: dict[str | int, tuple[str, int]] = {}  # key -> class name, line that said so
        self.keys: dict[str, str | int] = {}  # class name -> key

    def key(self, row: dict[str, str], line: int) -> str | int:
        """Returns the class of a row: its label as a number, or else its name."""
        for column in ("label", "classname"):
            if column in self.columns and not row[column]:
                raise UserError(f"List {self.path}, line {line}: the {column} is empty. Every picture needs a class.")
        if "label" not in self.columns:
            return self._know(row["classname"], row["classname"], line)
        label = row["label"]
        number = whole_number(label)
        if self.numbered is None:
            self.numbered = number is not None or "classname" in self.columns
        if (number is not None) != self.numbered:
            raise UserError(
                f"List {self.path}, line {line}: the label is '{label}'. Labels are whole numbers on every line, "
                "or class names on every line."
            )
        if number is None:
            return self._know(label, label, line)
        return self._know(number, row["classname"], line) if "classname" in self.columns else number

    def _know(self, key: str | int, name: str, line: int) -> str | int:
        known, first = self.named.setdefault(key, (name, line))
        if known != name:
            raise UserError(
                f"List {self.path}: label {key} is '{known}' on line {first} and '{name}' on line {line}. Correct one."
            )
        other = self.keys.setdefault(name, key)
        if other != key:
            raise UserError(
                f"List {self.path}: class '{name}' has label {other} on line {self.named[other][1]} and label {key} "
                f"on line {line}. Correct one."
            )
        return key

    def names(self, folder: str, keys: Iterable) -> dict[str | int, str]:
        """Returns the class name of every key. Raises UserError: labels without names."""
        if self.named:
            return {key: name for key, (name, _) in self.named.items()}
        return name_by_file(folder, keys)
