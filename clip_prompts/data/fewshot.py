"""Few-shot selections as files, so that a seed has the same shots in every run and on every machine.

The automatic store, the export of ``tools/data.py shots`` and DATASET.SHOTS_FILE share one JSON format, with paths
relative to the image folder:

    {"dataset": name, "num_shots": K, "seed": S, "sampler": version, "split": SHA-256 of the lists drawn from,
     "train": [[path, label, class name], ...], "val": [...]}

Stored files are ``split_fewshot/shot_{K}-seed_{S}-{hash}.json``. The hash covers everything that the draw depends on.
Upstream's ``shot_{K}-seed_{S}.pkl`` is preferred if it is there and fits the split: its owner keeps the shots.
"""

import hashlib
import json
import os
import pickle
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import read_json, write_text_atomically
from clip_prompts.common.text import one_line, shown

from .items import hash_lists, leads_outside, relative_paths
from .legacy_pickle import read_legacy

# Raise it when the draw changes: DatasetBase.generate_fewshot_dataset with Python's random.sample, train then val.
SAMPLER_VERSION = 1
VAL_SHOTS = 4  # at most, per class
_DEEPEST = 32  # folders of an image that was moved together with its root


class UnusableSelection(ValueError):
    """A selection that is broken or belongs to another split; ``str`` is a predicate, as "is not JSON"."""


class FewShotStore:
    """The stored selection of one split, number of shots and seed.

    Args:
        folders: selections are searched here, in this order; a new one goes into the first writable folder.
        dataset: registry name. train, val: full lists of Datum that the shots are drawn from.
    """

    def __init__(
        self, folders: Sequence[str], dataset: str, train: Sequence, val: Sequence, num_shots: int, seed: int,
        image_dir: str,
    ):  # fmt: skip
        self.folders, self.dataset, self.image_dir = list(folders), dataset, image_dir
        self.parts = {"train": (train, num_shots), "val": (val, min(num_shots, VAL_SHOTS))}
        split = hash_lists((train, val), image_dir)
        self.key = {"num_shots": num_shots, "seed": seed, "sampler": SAMPLER_VERSION, "split": split}
        stem = f"shot_{num_shots}-seed_{seed}"
        short = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:12]
        self.path = ""  # of the selection that was found or stored
        self.file_name, self.legacy_name = f"{stem}-{short}.json", f"{stem}.pkl"

    def find(self) -> tuple[list, list] | None:
        """Returns the stored (train, val) lists of Datum, or None. A warning names a file that cannot be used."""
        for name, read in ((self.legacy_name, self._read_legacy), (self.file_name, self._read_own)):
            for folder in self.folders:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue
                try:
                    selection = read(path)
                except UnusableSelection as error:
                    line = f"Few-shot selection {path} is not used, it {error}. The shots are drawn again"
                    warnings.warn(one_line(line), stacklevel=2)
                    continue
                print(f"Few-shot selection read from {path}")
                self.path = path
                return selection
        return None

    def keep(self, train: Sequence, val: Sequence) -> None:
        """Write a selection into the first writable folder; warn if there is none."""
        failures = []
        for folder in self.folders:
            path = os.path.join(folder, self.file_name)
            try:
                if os.path.islink(folder):
                    raise OSError("it is a link")
                self.write(path, train, val)
            except OSError as error:
                failures.append(f"{folder}: {error.strerror or error}")
                continue
            print(f"Few-shot selection saved to {path}")
            self.path = path
            return
        line = f"The few-shot selection is not kept, no folder can be written ({'; '.join(failures)})."
        warnings.warn(one_line(line), stacklevel=2)

    def write(self, path: str, train: Sequence, val: Sequence) -> None:
        """Write a selection to ``path``. Raises OSError."""
        content = {"dataset": self.dataset, **self.key}
        for part, items in (("train", train), ("val", val)):
            paths = relative_paths([item.impath for item in items], self.image_dir)
            content[part] = [[p, item.label, item.classname] for p, item in zip(paths, items, strict=True)]
        write_text_atomically(path, json.dumps(content, indent=1))

    def _read_own(self, path: str) -> tuple[list, list]:
        content = _load(path, self.key)
        if any(content[name] != value for name, value in self.key.items()):
            raise UnusableSelection("belongs to another split, seed or number of shots")
        return self._match(content)

    def _read_legacy(self, path: str) -> tuple[list, list]:
        try:
            content = read_legacy(path)
        except (OSError, pickle.UnpicklingError) as error:
            raise UnusableSelection(f"cannot be read: {error}; delete it, and this warning disappears") from error
        return self._match(content, longest_tail)

    def _match(self, content: dict, locate: Callable | None = None) -> tuple[list, list]:
        selection = []
        for part, (items, shots) in self.parts.items():
            chosen = _pick(content, part, items, self.image_dir, locate)
            expected = {label: min(shots, n) for label, n in Counter(item.label for item in items).items()}
            if Counter(item.label for item in chosen) != expected:
                raise UnusableSelection(f"does not have {shots} {part} images of each class")
            selection.append(chosen)
        return selection[0], selection[1]


def read_shots(
    path: str, dataset: str, num_shots: int, train: Sequence, val: Sequence, image_dir: str
) -> tuple[list, list]:
    """Returns the (train, val) selections of DATASET.SHOTS_FILE, in its order, as items of the full lists.

    Raises UserError: the file cannot be read or is broken, belongs to another dataset, has another K than
    ``num_shots``, names an image twice or one that is not in the split, has more than K images of a class, or none of
    a class of ``train``.
    """
    try:
        content = _load(path, ("dataset", "num_shots"))
        if content["dataset"] != dataset:
            raise UnusableSelection(f"is for the dataset {shown(content['dataset'])}, not for {dataset}")
        if content["num_shots"] != num_shots:
            raise UnusableSelection(f"has {shown(content['num_shots'])} shots, DATASET.NUM_SHOTS is {num_shots}")
        chosen = [_pick(content, part, items, image_dir) for part, items in (("train", train), ("val", val))]
        counts = Counter(item.label for item in chosen[0])
        for label, classname in sorted({item.label: item.classname for item in train}.items()):
            if counts[label] > num_shots:
                raise UnusableSelection(f"has {counts[label]} training images of label {label}, not {num_shots}")
            if not counts[label]:
                raise UnusableSelection(f"has no training image of class '{classname}' (label {label})")
    except UnusableSelection as error:
        advice = "Check DATASET.SHOTS_FILE, or export the shots again: python tools/data.py shots"
        raise UserError(f"Shots file {path} {error}. {advice}") from error
    return chosen[0], chosen[1]


def longest_tail(path: str, index: dict):
    """Returns the item at the longest tail of ``path``, or None: finds files after the root was moved."""
    parts = path.replace("\\", "/").rsplit("/", _DEEPEST)
    tails = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((index[tail] for tail in tails if tail in index), None)


def _load(path: str, keys: Collection[str]) -> dict:
    try:
        content = read_json(path)
    except OSError as error:
        raise UnusableSelection(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UnusableSelection(f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UnusableSelection("is not a JSON object")
    for key in (*keys, "train", "val"):
        if key not in content:
            raise UnusableSelection(f"lacks the key '{key}'")
    return content


def _pick(content: dict, part: str, items: Sequence, image_dir: str, locate: Callable | None = None) -> list:
    """Returns the items of a split that the entries ``[path, label, class name]`` of a part name.

    Args:
        locate: (path, index of the split's paths) -> item or None; by default a path must be in the index.
    """
    entries = content.get(part) if items else content.get(part, [])
    if not isinstance(entries, list):
        raise UnusableSelection(f"has a '{part}' that is not a list")
    index = dict(zip(relative_paths([item.impath for item in items], image_dir), items, strict=True))
    chosen: dict = {}
    for entry in entries:
        if not isinstance(entry, list | tuple) or [type(value) for value in entry] != [str, int, str]:
            raise UnusableSelection(f"holds {shown(entry)} in '{part}', not [path, label, class name]")
        path, label, classname = entry
        if locate is None and leads_outside(path):
            raise UnusableSelection(f"names '{path}', which is not a relative path inside the image folder")
        item = locate(path, index) if locate else index.get(path)
        if item is None or item.label != label or item.classname != classname:
            line = f"names {path} ({classname}, label {label}), which is not in the {part} list of this split"
            raise UnusableSelection(line)
        if id(item) in chosen:
            raise UnusableSelection(f"names {path} twice in '{part}'")
        chosen[id(item)] = item
    return list(chosen.values())
