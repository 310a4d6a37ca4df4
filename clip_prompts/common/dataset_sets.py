"""Sets of datasets, read from ``configs/datasets/sets.yml``: those in the repository, and those of the papers."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .yaml_files import read_yaml

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "datasets"


@dataclass(frozen=True)
class DatasetSet:
    """Names of config files of datasets. ``variants`` have the classes of ``source`` in other pictures."""

    source: str
    datasets: tuple[str, ...]
    variants: tuple[str, ...]
    others: tuple[str, ...] = ()

    def of_protocol(self, protocol: str) -> tuple[str, ...]:
        """Returns the datasets of a protocol; of a transfer, those that prompts are tested on."""
        if protocol == "domain_generalization":
            return self.variants
        return tuple(name for name in self.datasets if protocol != "cross_dataset" or name != self.source)

    def __contains__(self, name: str) -> bool:
        return name in (*self.datasets, *self.variants, *self.others)


@functools.cache
def _sets() -> dict[str, DatasetSet]:
    content = read_yaml(FOLDER / "sets.yml")
    sets = {}
    for name, entry in content.items():
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
        sets[name] = DatasetSet(**fields)
    return sets


def embedded() -> DatasetSet:
    """Returns the datasets that come with the repository."""
    return _sets()["embedded"]


def papers() -> DatasetSet:
    """Returns the datasets of the papers."""
    return _sets()["papers"]


def variants_of(source: str) -> tuple[str, ...]:
    """Returns the datasets that have the classes of ``source`` in other pictures."""
    return next((found.variants for found in _sets().values() if found.source == source), ())


@functools.cache
def table_order() -> tuple[str, ...]:
    """Returns the readers (DATASET.NAME) of the papers' datasets, in the order of tables."""
    return tuple(map(reader_name, papers().datasets + papers().variants))


@functools.cache
def reader_name(config: str) -> str:
    """Returns the reader (DATASET.NAME) that a config file of a dataset names; ``config`` if there is no such file."""
    file = FOLDER / f"{config}.yaml"
    return read_yaml(file)["DATASET"]["NAME"] if file.is_file() else config
