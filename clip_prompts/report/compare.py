"""The paired difference between two methods: over the same seeds, tested on the same images."""

import statistics
from collections.abc import Iterable

from clip_prompts.report.numbers import Block, Number, Row, Table
from clip_prompts.report.reading import ReportError, Run
from clip_prompts.report.statistics import paired_difference


def compare(tables: Iterable[Table], a: str, b: str) -> list[Table]:
    """Returns a table of differences for each table that has both methods.

    Args:
        a, b: labels of rows, or methods or trainers of which a table has one row.

    Raises ReportError: no table has both, or a method has several rows.
    """
    tables, found = list(tables), []
    for table in tables:
        notes: list[str] = []
        blocks = []
        for block in table.blocks:
            one, other = _row(block, a), _row(block, b)
            if one is not None and other is not None:
                blocks.append(Block(block.name, _differences(table, block, one, other, notes)))
        blocks = [block for block in blocks if block.rows]
        if blocks:
            columns = list(blocks[0].rows[0].values)
            facts = [*table.facts, "means over the seeds that both have; 95 % t-interval of the paired difference"]
            if any(row.label == "H" for block in blocks for row in block.rows):
                notes.insert(0, "H is the mean of the seeds' H here, so that it can be paired")
            title = f"{table.title}: {a} minus {b}"
            found.append(Table(title, facts, columns, blocks, notes, table.key, "column", details=table.details))
    if not found:
        labels = sorted({row.label for table in tables for block in table.blocks for row in block.rows})
        raise ReportError(f"No table has results of '{a}' and '{b}' for the same seeds. Methods: {', '.join(labels)}")
    return found


def _row(block: Block, name: str) -> Row | None:
    of_method = [row for row in block.rows if row.method and name in (row.method.name, row.method.trainer)]
    found = [row for row in block.rows if row.label == name] or of_method
    if len(found) > 1:
        raise ReportError(f"'{name}' has several rows. Give one of: {', '.join(repr(row.label) for row in found)}")
    return found[0] if found else None


def _differences(table: Table, block: Block, one: Row, other: Row, notes: list[str]) -> list[Row]:
    rows = []
    for column in table.columns:
        a, b = one.number(column), other.number(column)
        if not a or not b:
            continue
        ours = _per_seed(a, one.is_zero_shot, b.by_seed)
        theirs = _per_seed(b, other.is_zero_shot, ours)
        seeds = [seed for seed in ours if seed in theirs]
        same = [seed for seed in seeds if _same_images(ours[seed][1], theirs[seed][1])]
        if len(same) < len(seeds):
            where = f"{block.name} {column}".strip()
            notes.append(f"{where}: {len(seeds) - len(same)} seeds left out, they were tested on different images")
        if same:
            mine, yours = ([found[seed][0] for seed in same] for found in (ours, theirs))
            mean, half = paired_difference(mine, yours)
            rows.append(Row(column, {
                "n": len(same),
                one.label: statistics.mean(mine),
                other.label: statistics.mean(yours),
                "difference": f"{mean:+.2f}",
                "95 % interval": None if half is None else f"{mean - half:+.2f} to {mean + half:+.2f}",
            }))  # fmt: skip
    return rows


def _per_seed(number: Number, is_zero_shot: bool, seeds: Iterable) -> dict:
    """Returns seed -> value and runs; the result of a zero-shot method that ran once counts for every one of seeds."""
    found = {seed: (value, number.runs.get(seed, ())) for seed, value in number.by_seed.items()}
    return dict.fromkeys(seeds, *found.values()) if is_zero_shot and len(found) == 1 else found


def _same_images(*both: tuple[Run, ...]) -> bool:
    one, other = ({(run.dataset, run.classes): run.hash("test") for run in runs} for runs in both)
    return all(None in (test, other.get(where)) or test == other[where] for where, test in one.items())
