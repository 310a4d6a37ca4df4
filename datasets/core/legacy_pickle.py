"""Reading upstream's few-shot files without trusting them.

Upstream keeps shots as a pickled dict ``{"train": [Datum], "val": [Datum]}``. Plain unpickling would run whatever
code such a file names. Here one class is known, and it becomes a record that does nothing.
"""

import pickle


class Record:
    """What a pickled Datum becomes: its attributes, none of its code."""


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("dassl.data.datasets.base_dataset", "Datum"):
            return Record
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a list of images has no need of")

    def persistent_load(self, pid: object):
        raise pickle.UnpicklingError("it refers to objects outside the file")


def read_legacy(path: str) -> dict[str, list[tuple]]:
    """Read a pickled few-shot selection as ``{part: [(path as stored, label, class name)]}``.

    Runs no code from the file. Raises pickle.UnpicklingError, naming the refused global, or whatever the unpickler
    raises for a broken file.
    """
    with open(path, "rb") as file:
        content = _SafeUnpickler(file).load()
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dict of lists")
    return {part: [_entry(record) for record in records] for part, records in content.items()}


def _entry(record: object) -> tuple:
    state = vars(record) if isinstance(record, Record) else {}
    try:
        return state["_impath"], state["_label"], state["_classname"]
    except KeyError as error:
        raise pickle.UnpicklingError(f"an entry is not an image record (no {error})") from None
