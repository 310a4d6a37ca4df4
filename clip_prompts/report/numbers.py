"""Numbers over seeds, in rows, blocks and tables."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from clip_prompts.report.cells import Method
from clip_prompts.report.reading import Run

AVERAGE = "average"


@dataclass(frozen=True, eq=False)
class Number:
    """A mean over seeds, in percent; ``by_seed`` holds the values of single seeds, which the spread is of."""

    mean: float
    by_seed: dict[int | None, float]
    runs: dict[int | None, tuple[Run, ...]] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        return len(self.by_seed)


@dataclass(eq=False)
class Row:
    """A method's values by column: a Number, a whole number, a text, or None where there is nothing."""

    label: str
    values: dict[str, Number | int | float | str | None]
    method: Method | None = None
    best: set[str] = field(default_factory=set)

    def number(self, column: str) -> Number | None:
        """Returns the value in a column; None if it is not a Number."""
        value = self.values.get(column)
        return value if isinstance(value, Number) else None

    @property
    def is_zero_shot(self) -> bool:
        return self.method is not None and self.method.is_zero_shot

    @property
    def is_ranked(self) -> bool:
        return self.method is None or not self.method.is_transductive


@dataclass(eq=False)
class Block:
    """Rows under one heading (a dataset); "" where the table has no headings."""

    name: str
    rows: list[Row]


@dataclass(eq=False)
class Table:
    """``facts``, ``details`` (hashes, printed on request) and ``notes`` are printed below, in this order.

    ``key`` (protocol etc.) is for CSV; ``corner`` heads the labels.

    ``n`` is the most frequent number of seeds of methods that learn: cells with another number say so. ``conflicts``
    maps two files to the reason why their cell is skipped.
    """

    title: str
    facts: list[str]
    columns: list[str]
    blocks: list[Block]
    notes: list[str] = field(default_factory=list)
    key: dict = field(default_factory=dict)
    corner: str = "method"
    heading: str = "dataset"
    conflicts: dict[tuple, str] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    n: int = field(init=False)

    def __post_init__(self) -> None:
        rows = [row for block in self.blocks for row in block.rows]
        rows = [row for row in rows if not row.is_zero_shot] or rows
        counts = Counter(v.n for row in rows for v in row.values.values() if isinstance(v, Number))
        self.n = max(counts, key=lambda n: (counts[n], n), default=0)

    def numbers(self) -> list[Number]:
        return [v for b in self.blocks for r in b.rows for v in r.values.values() if isinstance(v, Number)]

    def mark_best(self) -> None:
        """Mark the highest value of each column of a block, as printed, if there is a choice of ranked methods."""
        for block in self.blocks:
            for column in self.columns:
                ranked = [(row, row.number(column)) for row in block.rows if row.is_ranked]
                found = [(row, round(number.mean, 2)) for row, number in ranked if number]
                if len(found) > 1:
                    top = max(value for _, value in found)
                    for row, value in found:
                        if value == top:
                            row.best.add(column)


def number(by_seed: dict[int | None, Run]) -> Number | None:
    """Returns accuracy over seeds; None without runs."""
    if not by_seed:
        return None
    seeds = sorted(by_seed, key=lambda seed: (seed is None, seed or 0))
    values = {seed: by_seed[seed].accuracy for seed in seeds}
    return Number(statistics.mean(values.values()), values, {seed: (by_seed[seed],) for seed in values})


def harmonic(base: Number | None, new: Number | None) -> Number | None:
    """Returns H of the mean base and the mean new accuracy. The spread is that of the seeds' H."""
    if base is None or new is None:
        return None
    seeds = [seed for seed in base.by_seed if seed in new.by_seed]
    by_seed = {seed: statistics.harmonic_mean([base.by_seed[seed], new.by_seed[seed]]) for seed in seeds}
    runs = {s: base.runs.get(s, ()) + new.runs.get(s, ()) for s in seeds}
    return Number(statistics.harmonic_mean([base.mean, new.mean]), by_seed, runs)


def average(numbers: Sequence[Number | None]) -> Number | None:
    """Returns the mean over datasets; it has values of single seeds only if all datasets have the same seeds."""
    found = [number for number in numbers if number]
    if not found or len(found) < len(numbers):
        return None
    same = all(set(n.by_seed) == set(found[0].by_seed) for n in found)
    by_seed = {s: statistics.mean(n.by_seed[s] for n in found) for s in found[0].by_seed} if same else {}
    seeds = {seed for n in found for seed in n.runs}
    runs = {seed: tuple(run for n in found for run in n.runs.get(seed, ())) for seed in seeds}
    return Number(statistics.mean(n.mean for n in found), by_seed, runs)
