"""YAML files, read as plain data. Imports nothing heavy, so that tools can use it."""

import os

MAX_VALUES = 10_000  # with all aliases written out
MAX_DEPTH = 50


class YamlError(ValueError):
    """A file that is not plain YAML; ``str(error)`` says why in one line."""


def read_yaml(path: str | os.PathLike) -> object:
    """The content of a YAML file in UTF-8: dicts, lists, text, numbers, dates.

    A tag that asks for a Python object is refused. So is a file whose aliases stand for more than ``MAX_VALUES``
    values, or for themselves: reading it takes no time, walking through it would never end.

    Raises:
        YamlError: for all that is wrong with the content. OSError: the file cannot be read.
    """
    import yaml  # takes a while, and not every program reads a file

    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file.read())
    except OSError:
        raise
    except RecursionError as error:
        raise YamlError("it is nested too deeply") from error
    except Exception as error:  # of a malformed date or number, PyYAML lets any kind of error out
        raise YamlError(" ".join(str(error).split()) or type(error).__name__) from error
    _count(content, 0, 0)
    return content


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
