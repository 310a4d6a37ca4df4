"""Nested settings as a flat mapping, and branches of a tree from a file."""

from typing import Any


def flat(tree: dict, groups: bool = False) -> dict[str, object]:
    """Returns dotted key -> value of every setting in nested dicts; with ``groups``, of every group too.

    >>> flat({"OPTIM": {"LR": 0.1}, "SEED": 1})
    {'OPTIM.LR': 0.1, 'SEED': 1}
    """
    found: dict[str, object] = {}
    waiting: list[tuple[str, object]] = [("", tree)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            inner = f"{path}." if path else ""
            waiting += [(f"{inner}{key}", part) for key, part in reversed(value.items())]
        if path and (groups or not isinstance(value, dict)):
            found[path] = value
    return found


def branch(tree: object, key: str) -> dict[str, Any]:
    """Returns the object at a key of untrusted JSON data; {} if there is none."""
    found = tree.get(key) if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else {}
