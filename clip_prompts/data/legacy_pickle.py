"""Upstream's few-shot files, read without running code.

Upstream stores shots as a pickled dict ``{"train": [Datum], "val": [Datum]}``. Plain unpickling would run whatever
code such a file names. Here one class is known, and it becomes a record that does nothing.
"""

import pickle

from clip_prompts.common.files import MIB, read_bytes
from clip_prompts.common.text import shown
from clip_prompts.common.unpickling import unpickle


def read_legacy(path: str) -> dict[str, list[tuple[str, int, str]]]:
    """Read a pickled few-shot selection as ``{part: [(path as stored, label, class name)]}``.

    Runs no code from the file. Raises OSError, and pickle.UnpicklingError for all that is wrong with the content; it
    names a global that is refused.
    """
    record = type("Record", (), {})  # a Datum's attributes, none of its code; of this file alone, which may change it
    known = {("dassl.data.datasets.base_dataset", "Datum"): record}
    content = unpickle(read_bytes(path, MIB * 16), lambda module, name: known.get((module, name)))
    if not isinstance(content, dict) or not all(isinstance(records, list) for records in content.values()):
        raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dict of lists")
    return {
        part: [_entry(item, record) for item in records] for part, records in content.items() if isinstance(part, str)
    }


def _entry(item: object, record: type) -> tuple[str, int, str]:
    state = vars(item) if isinstance(item, record) else {}
    kinds = {"_impath": str, "_label": int, "_classname": str}
    for name, kind in kinds.items():
        if name not in state:
            raise pickle.UnpicklingError(f"an entry is not an image record (no '{name}')")
        if not isinstance(state[name], kind):
            raise pickle.UnpicklingError(f"an image record has {name} {shown(state[name])}")
    return tuple(state[name] for name in kinds)
