"""Identities that a run has stored, in a checkpoint or in ``identity.json``. They are untrusted data."""

import os
from pathlib import Path
from typing import Any

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import read_json
from clip_prompts.common.trees import branch

FILE = "identity.json"
WAYS_ON = "Choose another --output-dir, or give --again, which moves the old run aside"
_MOST_VALUES = 100_000  # of a stored identity; some 300 are usual
# Facts by kind: a checkpoint may come from anywhere.
_FACTS = {
    "config_sha256": str, "trainer": str, "dataset": str, "label": str, "classes": str, "shots": int, "seed": int,
    "config": str, "recipe": str, "images": dict, "epochs": int, "schedule": str, "parameters": list,
    "training": dict, "test": str,
}  # fmt: skip


def determines_of(stored: object) -> dict[str, object] | None:
    """The mapping of a stored identity; None if it is not one."""
    found = branch(stored, "determines")
    return found if found and _is_plain(found) else None


def _is_plain(content: object) -> bool:
    """True for JSON data of a size that an identity may have; a checkpoint may come from anywhere."""
    waiting, seen = [content], 0
    while waiting:
        value, seen = waiting.pop(), seen + 1
        if seen > _MOST_VALUES:  # also of a few lists that hold one another many times
            return False
        if isinstance(value, dict | list) and len(value) > _MOST_VALUES:
            return False
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
            if not all(isinstance(key, str) for key in value):
                return False
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int):
            if abs(value) >= 2**63:
                return False
        elif not (value is None or isinstance(value, str | float)):
            return False
    return True


def facts_of(stored: object) -> dict[str, Any]:
    """The facts of a stored identity whose kinds are as they should be; {} if it has none."""
    found = branch(stored, "facts")
    if not _is_plain(found):
        return {}
    return {name: value for name, value in found.items() if name in _FACTS and isinstance(value, _FACTS[name])}


def read_identity(folder: str | os.PathLike) -> dict | None:
    """The content of ``identity.json`` in a run's folder; None if there is none. Raises UserError for a broken one."""
    path = Path(folder) / FILE
    if not os.path.lexists(path):
        return None
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}). {WAYS_ON}") from error
    if determines_of(content) is None:
        raise UserError(f"{path} does not hold the identity of a run. {WAYS_ON}")
    return content
