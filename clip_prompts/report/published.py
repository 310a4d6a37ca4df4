"""The published numbers, from ``published.json``: what was printed, by whom, under which settings."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True, eq=False)
class Published:
    """One printed table of a method.

    ``values`` maps a dataset (or "average") to the accuracies in percent in the order of ``columns`` (base, new, H;
    numbers of shots; "accuracy" where datasets are columns). ``recipe`` maps settings to values, as far as known;
    ``epochs`` may map datasets ("*": the others). ``unverified`` holds datasets whose numbers were recalled, not seen.
    ``rerun``: by others than the method's authors.
    """

    protocol: str
    trainer: str
    source: str
    title: str
    recipe: dict
    columns: list[str]
    values: dict[str, list[float | None]]
    unverified: frozenset[str]
    rerun: bool

    def value(self, dataset: str, column: str) -> float | None:
        """Returns a printed number; None if there is none."""
        row = self.values.get(dataset)
        return row[self.columns.index(column)] if row and column in self.columns else None

    def status(self, dataset: str) -> str:
        return "unverified" if dataset in self.unverified else "seen"


@cache
def published() -> tuple[Published, ...]:
    """Returns all tables, in the order of the file."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(_table(entry, content) for entry in content["tables"])


def _table(entry: dict, content: dict) -> Published:
    status = {dataset: entry["status"] for dataset in entry["values"]} | entry.get("status_of", {})
    return Published(
        protocol=entry["protocol"],
        trainer=entry["trainer"],
        source=entry["source"],
        title=content["sources"][entry["source"]],
        recipe=content["recipes"][entry["recipe"]],
        columns=entry["columns"],
        values=entry["values"],
        unverified=frozenset(dataset for dataset, known in status.items() if known == "unverified"),
        rerun=entry.get("rerun", False),
    )
