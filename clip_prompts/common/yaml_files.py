"""YAML files, read as plain data. Imports nothing heavy, so that tools can use it."""

import os
from typing import Any

from .errors import UserError, reading
from .files import read_text

MAX_LENGTH = 200_000  # characters; PyYAML reads some 100,000 in a second
MAX_VALUES = 10_000  # with all aliases written out
MAX_DEPTH = 50


class YamlError(ValueError):
    """A file that is not plain YAML; ``str(error)`` says why in one line."""


def read_yaml(path: str | os.PathLike) -> Any:
    """The content of a YAML file in UTF-8: dicts, lists, text, numbers, dates.

    A tag that asks for a Python object is refused. So is a file whose aliases stand for more than ``MAX_VALUES``
    values, or for themselves: reading it takes no time, walking through it would never end. And so is a file that is
    too long, or too deep, to be read in a few seconds.
    Raises YamlError: for all that is wrong with the content. OSError: the file cannot be read.
    """
    try:
        text = read_text(path, 4 * MAX_LENGTH)
        if len(text) > MAX_LENGTH:
            raise YamlError(f"it is longer than {MAX_LENGTH:,} characters")
        content = _load(text)
    except (OSError, YamlError):
        raise
    except Exception as error:  # of a malformed date or number, PyYAML lets any kind of error out
        raise YamlError(" ".join(str(error).split()) or type(error).__name__) from error
    _count(content, 0, 0)
    return content


def read_settings(path: str | os.PathLike, what: str) -> Any:
    """:func:`read_yaml`, with a UserError for all that is wrong; ``what`` names the file in it."""
    try:
        with reading(what):
            return read_yaml(path)
    except YamlError as error:
        raise UserError(f"{what} is not valid YAML: {error}") from error


def _load(text: str) -> object:
    """``yaml.safe_load`` that stops early: the time that PyYAML takes grows with the square of the depth."""
    import yaml  # takes a while, and not every program reads a file

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent, index):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise YamlError(f"it is nested more than {MAX_DEPTH} levels deep")
            node = super().compose_node(parent, index)
            if isinstance(node, yaml.MappingNode):
                _check_keys(node)
            self.depth -= 1
            return node

    return yaml.load(text, Loader)


def _check_keys(node) -> None:
    """Refuse a key that is given twice in one group: PyYAML takes the last, and the first would do nothing."""
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key.value, str) or key.value == "<<":
            continue
        if key.value in seen:
            raise YamlError(f"it has the key '{key.value}' twice, again on line {key.start_mark.line + 1}. Keep one")
        seen.add(key.value)


def _count(node: object, seen: int, depth: int) -> int:
    """``seen`` and the values in ``node``. Raises YamlError where they are too many."""
    seen += 1
    if seen > MAX_VALUES or depth > MAX_DEPTH:
        raise YamlError(f"with its aliases it holds more than {MAX_VALUES:,} values, or {MAX_DEPTH} levels of them")
    if isinstance(node, dict):
        for key, value in node.items():
            seen = _count(value, _count(key, seen, depth + 1), depth + 1)
    elif isinstance(node, list | tuple | set):
        for value in node:
            seen = _count(value, seen, depth + 1)
    return seen
