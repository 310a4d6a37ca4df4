"""Keeping few-shot selections, so that a seed has the same shots on every run and every machine.

Own files: ``split_fewshot/shot_{K}-seed_{S}-{hash}.json``, paths relative to the image folder. The hash covers
everything that the draw depends on: K, the seed, the lists drawn from, and how it draws. Upstream's
``shot_{K}-seed_{S}.pkl`` is used in preference when it is there and fits the split: its owner keeps the shots.
"""

import hashlib
import json
import os
import pickle
import warnings
from collections import Counter
from collections.abc import Callable, Sequence

from clip_prompts.common.files import read_json
from clip_prompts.common.text import one_line, shown

from .items import hash_lists, is_row
from .legacy_pickle import read_legacy
from .storage import relative_path, relative_paths, write_text_atomically

# Raise it when the draw changes: DatasetBase.generate_fewshot_dataset with Python's random.sample, train then val.
SAMPLER_VERSION = 1
VAL_SHOTS = 4  # at most, per class
_DEEPEST = 32  # folders of an image that was moved together with its root


class UnusableSelection(ValueError):
    """A kept selection that is broken or belongs to another split; ``str`` says why."""


class FewShotStore:
    """The kept selection of one split, number of shots and seed.

    ``folders``: where selections are looked for, in this order; a new one goes into the first that can be written.
    ``train``, ``val``: the full lists of Datum that the shots are drawn from.
    """

    def __init__(
        self, folders: Sequence[str], train: Sequence, val: Sequence, num_shots: int, seed: int, image_dir: str
    ):
        self.folders = list(folders)
        self.image_dir = image_dir
        self.parts = {"train": (train, num_shots), "val": (val, min(num_shots, VAL_SHOTS))}
        self.key = {
            "num_shots": num_shots,
            "seed": seed,
            "sampler": SAMPLER_VERSION,
            "split": hash_lists((train, val), image_dir),
        }
        stem = f"shot_{num_shots}-seed_{seed}"
        short = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:12]
        self.path = ""  # of the selection that was found or kept
        self.file_name, self.legacy_name = f"{stem}-{short}.json", f"{stem}.pkl"

    def find(self) -> tuple[list, list] | None:
        """The kept (train, val) lists of Datum, or None. A file that cannot be used is named in a warning."""
        readers = ((self.legacy_name, self._read_legacy), (self.file_name, self._read_own))
        for name, read in readers:
            for folder in self.folders:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue
                try:
                    selection = read(path)
                except UnusableSelection as error:
                    warnings.warn(one_line(f"Few-shot selection {path} is not used: {error}."), stacklevel=2)
                    continue
                print(f"Few-shot selection read from {path}")
                self.path = path
                return selection
        return None

    def keep(self, train: Sequence, val: Sequence) -> None:
        """Write a selection into the first folder that can be written; warn when none can."""
        content = {**self.key, "train": [self._row(item) for item in train], "val": [self._row(item) for item in val]}
        failures = []
        for folder in self.folders:
            path = os.path.join(folder, self.file_name)
            if os.path.islink(folder):
                failures.append(f"{folder}: it is a link")
                continue
            try:
                write_text_atomically(path, json.dumps(content, indent=1))
            except OSError as error:
                failures.append(f"{folder}: {error.strerror or error}")
                continue
            print(f"Few-shot selection saved to {path}")
            self.path = path
            return
        reasons = "; ".join(failures)
        line = f"The few-shot selection is not kept, no folder can be written ({reasons})."
        warnings.warn(one_line(line), stacklevel=2)

    def _row(self, item) -> list:
        return [relative_path(item.impath, self.image_dir), item.label, item.classname]

    def _read_own(self, path: str) -> tuple[list, list]:
        try:
            content = read_json(path)
        except (OSError, ValueError) as error:
            raise UnusableSelection(f"it cannot be read ({error}); it will be drawn again") from error
        if not isinstance(content, dict) or any(content.get(name) != value for name, value in self.key.items()):
            raise UnusableSelection("it belongs to another split, seed or number of shots; it will be made anew")
        return self._match(content, exact)

    def _read_legacy(self, path: str) -> tuple[list, list]:
        try:
            content = read_legacy(path)
        except (OSError, pickle.UnpicklingError) as error:
            raise UnusableSelection(f"{error}; delete it to be rid of this warning") from error
        return self._match(content, longest_tail)

    def _match(self, content: dict, locate: Callable) -> tuple[list, list]:
        """Find each entry ``[path, label, class name]`` of ``content`` among the items of the split."""
        selection = []
        for part, (items, shots) in self.parts.items():
            paths = relative_paths([item.impath for item in items], self.image_dir)
            index = dict(zip(paths, items, strict=True))
            chosen = [_pick(index, entry, locate, part) for entry in _entries(content, part, empty_is_fine=not items)]
            expected = {label: min(shots, n) for label, n in Counter(item.label for item in items).items()}
            if len({id(item) for item in chosen}) != len(chosen) or Counter(item.label for item in chosen) != expected:
                raise UnusableSelection(f"its {part} list does not hold {shots} different images of each class")
            selection.append(chosen)
        return selection[0], selection[1]


def exact(path: str, index: dict):
    """The item at ``path``, or None."""
    return index.get(path)


def longest_tail(path: str, index: dict):
    """The item whose relative path is the longest tail of ``path``, or None: finds files after the root was moved."""
    parts = path.replace("\\", "/").rsplit("/", _DEEPEST)
    tails = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((index[tail] for tail in tails if tail in index), None)


def _entries(content: dict, part: str, empty_is_fine: bool) -> list:
    entries = content.get(part)
    if entries is None and empty_is_fine:
        return []
    if not isinstance(entries, list):
        raise UnusableSelection(f"it has no list '{part}'")
    return entries


def _pick(index: dict, entry: object, locate: Callable, part: str):
    if not is_row(entry):
        raise UnusableSelection(f"its {part} list holds {shown(entry)}")
    path, label, classname = entry
    item = locate(path, index)
    if item is None or item.label != label or item.classname != classname:
        raise UnusableSelection(f"{path} ({classname}, label {label}) is not in the {part} list of this split")
    return item
