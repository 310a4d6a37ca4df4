"""Layout ``DIR/annotations.csv`` or ``.jsonl``: one line per picture.

Columns (in a CSV file its first line names them; in JSON-lines the keys of every object):

- ``path``: relative to DIR, inside it; links are followed;
- ``label``, a whole number from 0, or ``classname``, or both. Labels alone get their names from ``classnames.txt``
  (text in place of numbers is the class name); names alone are numbered in sorted order;
- ``split``: train, val or test (or as ``SPELLINGS`` has them), optional;
- ``domain``: optional.
"""

import csv
import io
import posixpath
from collections.abc import Iterable, Iterator

from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.files import LIST, parse_json, read_text
from clip_prompts.common.text import shown
from clip_prompts.data.annotations import whole_number
from clip_prompts.data.items import leads_outside

from .listing import PARTS, SPELLINGS, Listing, Picture
from .names import name_by_file

SUFFIXES = (".csv", ".jsonl")
KNOWN = ("path", "label", "classname", "split", "domain")
Rows = Iterable[tuple[int, dict[str, str]]]  # line in the file, column -> text without space around it


def list_table(path: str, folder: str) -> Listing:
    """Read the file at ``path``; the pictures are in ``folder``. Raises UserError with the file and the line."""
    columns, rows = (_read_csv if path.endswith(".csv") else _read_json_lines)(path)
    if "path" not in columns:
        hint = "Separate them by commas" if any(mark in columns[0] for mark in ";\t") else "Its first line names them"
        raise UserError(f"List {path} has no column 'path'. It has: {', '.join(columns)}. {hint}: path,classname")
    if not {"label", "classname"} & set(columns):
        raise UserError(f"List {path} has no column 'label' or 'classname'. It has: {', '.join(columns)}")
    pictures: list[Picture] = []
    seen: dict[str, int] = {}
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


def _read_csv(path: str) -> tuple[list[str], Rows]:
    """Returns columns and rows of a CSV file: commas, UTF-8, quotes around cells with commas. Raises UserError."""
    lines = _lines(path)
    reader = csv.reader(lines, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise UserError(f"List {path}, line {reader.line_num}: it is not CSV ({error}).") from error
    if not rows:
        raise UserError(f"List {path} is empty. Its first line names the columns: path,classname")
    columns = [_column(name) for name in rows[0][1]]
    for name in KNOWN:
        if columns.count(name) > 1:
            raise UserError(f"List {path} has the column '{name}' twice. Remove one.")
    for line, cells in rows:
        if len(cells) != len(columns):
            raise UserError(
                f"List {path}, line {line}: {len(cells)} cells for {len(columns)} columns. Quote cells with commas."
            )
    return columns, ((line, dict(zip(columns, cells, strict=True))) for line, cells in rows[1:])


def _read_json_lines(path: str) -> tuple[list[str], Rows]:
    """Returns columns and rows of a file with one JSON object per line, all of the same keys. Raises UserError."""
    rows: list = []
    columns: list[str] | None = None
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        row = _json_row(path, number, line)
        columns = list(row) if columns is None else columns
        for name in KNOWN:
            if (name in row) != (name in columns):
                has, first = ("has", "lacks") if name in row else ("lacks", "has")
                raise UserError(f"List {path}, line {number} {has} the key '{name}', which its first line {first}.")
        rows.append((number, row))
    if not rows:
        raise UserError(f'List {path} is empty. A line is an object: {{"path": "a.jpg", "classname": "cat"}}')
    return columns or [], rows


def _json_row(path: str, number: int, line: str) -> dict[str, str]:
    try:
        found = parse_json(line)
    except ValueError as error:
        raise UserError(f"List {path}, line {number} is not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise UserError(f"List {path}, line {number} is not a JSON object with path and label or classname.")
    row = {}
    for key, value in found.items():
        name = _column(key)
        if name not in KNOWN:
            continue
        if not isinstance(value, str) and (name != "label" or type(value) is not int):
            raise UserError(f"List {path}, line {number}: the {name} is {shown(value)}, not text.")
        row[name] = str(value).strip()
    return row


def _column(name: str) -> str:
    """Returns the name of a column: ``Class Name`` and ``class_name`` are ``classname`` too."""
    return name.strip().lower().replace("_", "").replace(" ", "")


def _lines(path: str) -> Iterator[str]:
    try:
        # Not splitlines: a line separator (U+2028) may be part of a cell.
        return io.StringIO(read_text(path, LIST, lines=True), newline="")
    except OSError as error:
        raise UserError(f"List {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"List {path} cannot be read as UTF-8 ({error}). Save it as UTF-8.") from error
