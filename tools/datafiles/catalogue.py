"""The facts of catalogue.json: published counts, classes, archives, sources and pitfalls of every public dataset."""

import json
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

import datasets  # noqa: F401  registers the readers
from common.errors import unknown

CATALOGUE: dict = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))


def reader(name: str) -> type:
    """The reader registered as ``name``. Raises UserError that names the closest one."""
    known = list(DATASET_REGISTRY.registered_names())
    if name not in known:
        raise unknown("dataset", name, known)
    return DATASET_REGISTRY.get(name)
