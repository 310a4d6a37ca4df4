"""Annotation lists: text files with one image per line."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from clip_prompts.common.errors import UserError, reading
from clip_prompts.common.files import LIST, parse_json, read_text
from clip_prompts.common.text import one_line


def read_fields(path: str, n: int, numbers: Collection[int] = (), hint: str = "") -> Iterator[list]:
    """Yield the ``n`` space-separated fields of each line; those at the positions ``numbers`` as whole numbers from 1.

    Empty lines and lines that start with ``#`` are skipped. Raises UserError that names the file and the line;
    ``hint`` says what to do about a missing file.
    """
    lines = _read_text(path, hint).splitlines()
    for line_number, line in enumerate(lines, start=1):
        fields: list = line.split()
        if not fields or line.startswith("#"):
            continue
        where = f"{path}, line {line_number}: '{one_line(line, 100)}'"
        if len(fields) != n:
            raise UserError(f"{where} has {len(fields)} fields, not {n}.")
        for position in numbers:
            number = whole_number(fields[position])
            if not number:
                raise UserError(f"{where}: '{one_line(fields[position], 40)}' is not a whole number from 1.")
            fields[position] = number
        yield fields


def whole_number(text: str) -> int | None:
    """Returns the number of a text of up to 18 decimal digits; None for any other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def read_lines(path: str, hint: str = "") -> list[str]:
    """Returns the lines of a list that are not empty, without surrounding space. Raises UserError."""
    return [line.strip() for line in _read_text(path, hint).splitlines() if line.strip()]


def read_names(path: str, hint: str = "") -> dict[str, str]:
    """Reads a JSON object of names by number, as ``{"1": "pink primrose"}``. Raises UserError."""
    try:
        names = parse_json(_read_text(path, hint))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}). {hint}".rstrip()) from error
    if not isinstance(names, dict) or not all(isinstance(name, str) and name for name in names.values()):
        raise UserError(f"{path} is not an object of class names by number. {hint}".rstrip())
    return names


def class_labels(pairs: Iterable[tuple[int, str]], path: str) -> dict[str, int]:
    """Returns class name -> label for the pairs (label, class name) of a class list ``path``.

    Raises UserError for a name or a label that is given twice.
    """
    labels: dict[str, int] = {}
    names: dict[int, str] = {}
    for label, name in pairs:
        if name in labels:
            raise UserError(f"{path} lists the class '{name}' twice (as number {labels[name] + 1} and {label + 1}).")
        if label in names:
            raise UserError(f"{path} gives the number {label + 1} to two classes: '{names[label]}' and '{name}'.")
        labels[name], names[label] = label, name
    return labels


def class_label(labels: Mapping[str, int], name: str, path: str, line: str) -> int:
    """Returns the label of class ``name``. Raises UserError that shows the ``line`` of the list ``path``."""
    if name not in labels:
        raise UserError(f"{path}, line '{line}': '{name}' is not one of the {len(labels)} classes of the class list.")
    return labels[name]


def _read_text(path: str, hint: str) -> str:
    with reading(path, hint):
        return read_text(path, LIST, lines=True)
