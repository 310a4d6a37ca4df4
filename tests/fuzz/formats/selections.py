"""Split files, few-shot selections of all kinds, and the stored split."""

import functools
import pickle
import sys
import types
import warnings
from pathlib import Path

from clip_prompts.common.errors import UserError
from clip_prompts.data.fewshot import FewShotStore, read_shots
from clip_prompts.data.folders.divide import Labelled
from clip_prompts.data.folders.find import image_folder
from clip_prompts.data.folders.stored_split import StoredSplit
from clip_prompts.data.items import hash_lists
from clip_prompts.data.split_file import read_split, save_split
from clip_prompts.data.split_rules import split_per_class
from tests.fuzz.mutate import spoil_json, spoil_pickle

from .base import Format

PARTS = {"train": 4, "val": 2, "test": 2}
CLASSES = ("cat", "dog", "red fox")


def pictures(folder: Path) -> tuple[list, list, list]:
    """Train, val and test lists of empty pictures in ``folder/images``."""
    from dassl.data.datasets import Datum

    lists = []
    for part, count in PARTS.items():
        items = []
        for label, name in enumerate(CLASSES):
            for number in range(count):
                path = folder / "images" / name.replace(" ", "_") / f"{part}_{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                items.append(Datum(str(path), label, 0, name))
        lists.append(items)
    return tuple(lists)


@functools.cache
def lists_of(folder: Path) -> tuple[list, list, list]:
    return pictures(folder)


def split_seeds(folder: Path) -> list[bytes]:
    found = []
    for made_here in (False, True):
        save_split(*lists_of(folder), str(folder / "split.json"), str(folder / "images"), made_here)
        found.append((folder / "split.json").read_bytes())
    return found


def read_split_file(path: Path) -> None:
    place = image_folder(str(path), str(path.parent))
    lists = read_split(str(path), place)
    hash_lists(lists, place)
    top = str(path.parent)
    assert all(item.impath.startswith(top) and ".." not in item.impath for items in lists for item in items)


def shots_seeds(folder: Path) -> list[bytes]:
    train, val, _ = lists_of(folder)
    store(folder).write(str(folder / "shots.json"), train[::2], val[::2])
    return [(folder / "shots.json").read_bytes()]


def read_shots_file(path: Path) -> None:
    train, val, _ = lists_of(path.parent)
    chosen = read_shots(str(path), "Pets", 2, train, val, str(path.parent / "images"))
    assert {id(item) for items in chosen for item in items} <= {id(item) for item in (*train, *val)}


def store(folder: Path) -> FewShotStore:
    train, val, _ = lists_of(folder)
    return FewShotStore([str(folder)], "Pets", train, val, 2, 1, str(folder / "images"))


def kept_seeds(folder: Path) -> list[bytes]:
    train, val, _ = lists_of(folder)
    kept = store(folder)
    kept.keep(train[::2], val)
    return [(folder / kept.file_name).read_bytes()]


def read_kept(path: Path) -> str | None:
    """A kept selection that is not used is named in a warning."""
    kept = store(path.parent)
    kept.file_name, kept.legacy_name = path.name, "none"
    return _found(kept)


def _found(kept: FewShotStore) -> str | None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selection = kept.find()
    if selection is None:  # what is no regular file is not looked at
        return " ".join(str(warning.message) for warning in caught) or None
    known = {id(item) for items, _ in kept.parts.values() for item in items}
    assert {id(item) for items in selection for item in items} <= known
    return None


def legacy_seeds(folder: Path) -> list[bytes]:
    """As upstream writes them: pickled Datum objects with the paths of another machine, in binary protocols."""
    name = "dassl.data.datasets.base_dataset"
    module, own = types.ModuleType(name), sys.modules.get(name)

    class Datum:
        pass

    Datum.__module__, Datum.__qualname__, module.Datum = name, "Datum", Datum
    train, val, _ = lists_of(folder)

    def record(item):
        made = Datum()
        made._impath = "/somewhere/else/" + item.impath.partition("/images/")[2]
        made._label, made._domain, made._classname = item.label, 0, item.classname
        return made

    content = {"train": [record(i) for i in train[::2]], "val": [record(i) for i in val]}
    sys.modules[name] = module
    try:
        return [pickle.dumps(content, protocol) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    finally:
        sys.modules[name] = own


def read_legacy(path: Path) -> str | None:
    kept = store(path.parent)
    kept.file_name, kept.legacy_name = "none", path.name
    return _found(kept)


def stored_seeds(folder: Path) -> list[bytes]:
    stored_rows(StoredSplit(str(folder), [str(folder)]))
    return [(folder / "stored_split.json").read_bytes()]


def read_stored(path: Path) -> None:
    stored_rows(StoredSplit(str(path.parent), [str(path.parent)], writes=False))


def stored_rows(stored: StoredSplit) -> None:
    """Divide the pictures of ``lists_of``; each is in one part."""
    items = [item for items in lists_of(Path(stored.folder)) for item in items]
    rows = [Labelled(item.impath.removeprefix(f"{stored.folder}/"), item.label, item.classname, 0) for item in items]
    parts = stored.divide("split", rows, lambda row: row.label, lambda new, rng: split_per_class(new, rng=rng))
    assert sorted(row.path for part in parts for row in part) == sorted(row.path for row in rows)
    stored.save()


USER = (UserError,)
FORMATS = [
    Format("split file", "split.json", USER, split_seeds, spoil_json, read_split_file),
    Format("shots file", "shots.json", USER, shots_seeds, spoil_json, read_shots_file),
    Format("kept shots", "kept.json", (), kept_seeds, spoil_json, read_kept),
    Format("legacy pickle", "shot_2-seed_1.pkl", (), legacy_seeds, spoil_pickle, read_legacy),
    Format("stored split", "stored_split.json", USER, stored_seeds, spoil_json, read_stored),
]
