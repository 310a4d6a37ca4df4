"""The lines of a CSV or JSON-lines file, as dicts of text."""

import csv
import io
from collections.abc import Iterable, Iterator

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import LIST, parse_json, read_text
from clip_prompts.common.text import shown

Rows = Iterable[tuple[int, dict[str, str]]]  # line in the file, column -> text without space around it
KNOWN = ("path", "label", "classname", "split", "domain")


def read_csv(path: str) -> tuple[list[str], Rows]:
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


def read_json_lines(path: str) -> tuple[list[str], Rows]:
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
    return columns, rows


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
