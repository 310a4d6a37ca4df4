"""Small replicas of raw releases, written by the tests: one builder per dataset, nothing is downloaded.

Contract. Every module of this package has a dict ``REPLICAS``: registry name -> builder. ``builder(root)`` writes
the raw release in its true format (folder names, annotation formats, stray files, odd names) below
``root`` / the reader's ``dataset_dir``, with empty files as images and *without* a split file, and returns a
:class:`Replica` that says what a reader must make of it. ``REPLICAS`` of this package is all of them together.
"""

import importlib
import json
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path

PER_CLASS = "per class"  # 50/20/30 of each class
TRAINVAL = "trainval"  # 80/20 of each class of "train"; "test" is kept
OFFICIAL = "official"  # "train", "val" and "test" as they are
TEST_ONLY = "test only"  # "test" stands in for training; no val
TRAIN_TEST = "train and test"  # "test" is also val (ImageNet)


@dataclass
class Replica:
    """Expected result of a reader: ``rows`` holds ``(path below the image folder, label, part)``.

    Rows stand in the order in which the published rule reads them (annotation order, or sorted folders);
    ``part`` is "train", "val" or "test" as the release says it, "" where it says nothing.
    """

    rule: str
    classnames: list[str]
    rows: list[tuple[str, int, str]] = field(default_factory=list)


def write_split(path: Path, replica: Replica) -> dict:
    """Write the replica as a released split file: every fourth image of a class for test, every fifth for val."""
    split: dict = {"train": [], "val": [], "test": []}
    for i, (image, label, _) in enumerate(sorted(replica.rows, key=lambda row: row[1])):
        split["test" if i % 4 == 3 else "val" if i % 5 == 2 else "train"].append(
            [image, label, replica.classnames[label]]
        )
    path.write_text(json.dumps(split, indent=4))
    return split


def touch(path: Path) -> None:
    """An empty file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


REPLICAS: dict = {}
for _module in pkgutil.iter_modules(__path__):
    REPLICAS.update(importlib.import_module(f"{__name__}.{_module.name}").REPLICAS)
