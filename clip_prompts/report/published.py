"""The published numbers, from ``published.json``: what was printed, by whom, under which settings."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True, eq=False)
class Published:
    """One printed table of a method.

    ``values`` maps a dataset (or "average") to the accuracies in percent in the order of ``columns`` (base, new, H;
    numbers of shots; "accuracy" where datasets are columns). ``recipe`` maps settings to values, as far as known;
    ``epochs`` may map datasets ("*": the others). ``status`` is "seen", or "unverified" if the numbers were
    recalled; ``status_of`` has the datasets with another one. ``rerun``: by others than the method's authors.
    ``learned``: number of learned values.
    """

    protocol: str
    trainer: str
    source: str
    title: str
    recipe: dict
    columns: list[str]
    values: dict[str, list[float | None]]
    status: str
    status_of: dict[str, str] = field(default_factory=dict)
    rerun: bool = False
    learned: int | None = None

    def value(self, dataset: str, column: str) -> float | None:
        """Returns a printed number; None if there is none."""
        row = self.values.get(dataset)
        return row[self.columns.index(column)] if row and column in self.columns else None


@cache
def published() -> tuple[Published, ...]:
    """Returns all tables, in the order of the file."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    sources, recipes = content["sources"], content["recipes"]
    return tuple(
        Published(**entry | {"title": sources[entry["source"]], "recipe": recipes[entry["recipe"]]})
        for entry in content["tables"]
    )
