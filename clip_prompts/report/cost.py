"""Cost next to accuracy: columns for tables, from the records of the runs behind a row."""

import statistics
from collections.abc import Callable, Iterable

from clip_prompts.report.numbers import Number, Row, Table
from clip_prompts.report.reading import Run

SPEED, MEMORIES, LEARNED = "train images/s", ("GPU memory (MiB)", "memory (MiB)"), "learned"
# Column -> part of a record, its field, factor of the unit, and how the runs of a row are put together.
COLUMNS: dict[str, tuple[str, str, float, Callable]] = {
    "step (ms)": ("cost", "step_seconds", 1000, statistics.median),
    SPEED: ("cost", "train_images_per_second", 1, statistics.median),
    "test images/s": ("cost", "test_images_per_second", 1, statistics.median),
    MEMORIES[1]: ("memory", "process_mib", 1, max),
    MEMORIES[0]: ("memory", "cuda_mib", 1, max),
}
RULE = "cost: medians over runs; of memory and learned numbers the most; a step takes loading in"


def add_cost(table: Table) -> None:
    """Add columns behind the others, with values in every row whose runs have recorded them."""
    rows = [row for block in table.blocks for row in block.rows]
    costs = [cost_of(row) for row in rows]
    columns = [name for name in (*COLUMNS, LEARNED) if any(name in cost for cost in costs)]
    columns = [name for name in columns if name not in table.columns]
    if not columns:
        table.notes.append("The records hold no cost: they are of an earlier version, or come from logs")
        return
    table.columns = [*table.columns, *columns]
    for row, cost in zip(rows, costs, strict=True):
        row.values |= {name: cost.get(name) for name in columns}
    table.facts = [*table.facts, RULE]
    devices = sorted({str(name) for row in rows for run in runs_of(row) if (name := _field(run, "cost", "device"))})
    if len(devices) > 1:
        table.notes.append(f"The costs are from different devices: {'; '.join(devices)}. Compare them with care")
    elif devices:
        table.facts.append(f"on {devices[0]}")


def cost_of(row: Row) -> dict[str, float | int]:
    """Returns column -> value, of the columns that the row's runs have recorded."""
    found: dict[str, float | int] = {}
    for name, (part, field, factor, together) in COLUMNS.items():
        if values := [factor * value for run in runs_of(row) if (value := _field(run, part, field)) is not None]:
            found[name] = float(together(values))
    learned = [run.record["learned"] for run in runs_of(row) if run.record.get("learned") is not None]
    return found | ({LEARNED: max(learned)} if learned else {})


def runs_of(row: Row) -> Iterable[Run]:
    """Returns the runs behind all numbers of a row, each once."""
    numbers = [value for value in row.values.values() if isinstance(value, Number)]
    return dict.fromkeys(run for number in numbers for runs in number.runs.values() for run in runs)


def _field(run: Run, part: str, field: str):
    return (run.record.get(part) or {}).get(field)
