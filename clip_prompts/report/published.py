"""The published numbers, from ``published.json``: what was printed, by whom, under which settings."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True, eq=False)
class Published:
    """One printed table of a method.

    ``trainer`` is the method's name in tables, such as CoOp+DePT. ``values`` maps a dataset (or "average") to the
    accuracies in percent in the order of ``columns`` (base, new, H; numbers of shots; "accuracy" where datasets are
    columns). ``recipe`` maps settings to values, as far as known; a value may be one per dataset that is learned on
    ("*": the others). A setting is one of the general ones of ``verify.settings_of``, or a key of the trainer's own
    node, or any key with its path. ``config`` is the file in configs/trainers that holds the recipe. ``status`` is
    "seen", or "unverified" if the numbers were recalled; ``status_of`` has the datasets with another one. ``rerun``:
    by others than the method's authors. ``learned``: number of learned values.
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
    config: str | dict[str, str] = ""

    def value(self, dataset: str, column: str) -> float | None:
        """Returns a printed number; None if there is none."""
        row = self.values.get(dataset)
        return row[self.columns.index(column)] if row and column in self.columns else None


@cache
def published() -> tuple[Published, ...]:
    """Returns all tables, in the order of the file."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    tables = []
    for entry in content["tables"]:
        recipe = _recipe(content["recipes"], entry["recipe"])
        more = {"title": content["sources"][entry["source"]], "config": recipe.pop("config", "")}
        tables.append(Published(**entry | more | {"recipe": recipe}))
    return tuple(tables)


def _recipe(recipes: dict, name: str) -> dict:
    """Returns a recipe with the values of the one that it is ``like``."""
    own = dict(recipes[name])
    like = own.pop("like", None)
    return (_recipe(recipes, like) if like else {}) | own
