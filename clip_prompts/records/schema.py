"""The schema of a record in ``results.json``: its fields by kind, its version and its checksum.

``writer`` makes records, ``results_file`` stores them, and reports read them. Imports nothing heavy.
"""

import hashlib
import json
import reprlib
from typing import Any

from clip_prompts.common.text import shown

# Fields that differ between two runs of the same command: what clocks and machines say, and the checksum.
VARYING = ("time", "seconds", "train_seconds", "cost", "memory", "sha256")
FORMAT = 2  # a record without "format" is of version 1, which has no protocol, counts, details or checksum
REQUIRED = ("split", "metrics", "trainer", "dataset", "classes", "shots", "seed", "backbone", "selection")
CLASSES = ("all", "base", "new")
LONGEST = 1000  # characters of a text
# Fields by kind; each may be null, and those that are not required may be missing.
KINDS = {
    "trainer": str, "dataset": str, "classes": str, "backbone": str, "selection": str, "shots": int, "seed": int,
    "label": str, "protocol": str, "config": str, "recipe": str, "precision": str, "learned": int, "epoch": int,
    "hashes": dict, "settings": dict, "source": dict, "loaded": dict, "time": str, "versions": dict, "cost": dict,
    "memory": dict, "image_dir": str,
}  # fmt: skip
INNER_KINDS: dict[str, dict[str, type]] = {
    "source": {"dataset": str, "label": str, "classes": str, "recipe": str, "config": str, "shots": int, "seed": int},
    "loaded": {"model_dir": str, "load_epoch": int},
    "cost": {
        "step_seconds": float,
        "train_images_per_second": float,
        "test_images_per_second": float,
        "device": str,
    },
    "memory": {"process_mib": float, "cuda_mib": float},
}
_CALLED = {
    str: f"a text of at most {LONGEST:,} characters", int: "a whole number of less than 16 digits", dict: "an object",
    float: "a number from 0 to 1e15",
}  # fmt: skip


def problem(record: dict) -> str | None:
    """Returns the first thing that is wrong with a record, with the next step; None if it is whole."""
    may_be_null = {"shots", "seed", "selection"} if record.get("imported") else {"shots"}
    for name in REQUIRED:
        if name not in record or (record[name] is None and name not in may_be_null):
            return f"lacks the field '{name}'. Run its job again with this version of train.py"
    if not is_intact(record):
        return "its content does not fit its checksum. Run its job again"
    accuracy = record["metrics"].get("accuracy") if isinstance(record["metrics"], dict) else None
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 <= accuracy <= 100:
        return f"metrics.accuracy is {reprlib.repr(accuracy)}, not a number of 0 to 100. Run its job again"
    if line := _wrong_kind(record, KINDS):
        return line
    hashes: dict[str, type] = dict.fromkeys(record.get("hashes") or {}, str)
    for name, kinds in {**INNER_KINDS, "hashes": hashes}.items():
        if line := _wrong_kind(record.get(name) or {}, kinds, f"{name}."):
            return line
    if record["classes"] not in CLASSES:
        return f"the field 'classes' is {reprlib.repr(record['classes'])}, none of {', '.join(CLASSES)}"
    return None


def _wrong_kind(node: dict, kinds: dict[str, type], prefix: str = "") -> str | None:
    """Returns a line about the first value that is neither null nor of its kind."""
    for name, kind in kinds.items():
        value = node.get(name)
        kinds_of = (int, float) if kind is float else kind
        if value is None or (isinstance(value, kinds_of) and not isinstance(value, bool) and _is_moderate(value, kind)):
            continue
        return f"the field '{prefix}{name}' is {shown(value)}, not {_CALLED[kind]}. Run its job again"
    return None


def _is_moderate(value: Any, kind: type) -> bool:
    if kind is float:
        return 0 <= value < 10**15
    if isinstance(value, int):
        return abs(value) < 10**15
    return not isinstance(value, str) or len(value) <= LONGEST


def is_intact(record: object) -> bool:
    """True if a record fits its checksum (``sha256``), or has none, like those of version 1."""
    if not isinstance(record, dict) or "sha256" not in record:
        return True
    try:
        return record["sha256"] == checksum(record)
    except RecursionError:
        return False


def checksum(record: dict) -> str:
    """Returns the SHA-256 of the record without ``sha256``, as JSON with sorted keys."""
    content = json.loads(json.dumps({key: value for key, value in record.items() if key != "sha256"}))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
