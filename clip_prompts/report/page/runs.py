"""The runs behind a table's cells, with the commands that repeat them, for the page's template."""

from clip_prompts.common.text import printable
from clip_prompts.report import formats
from clip_prompts.report.commands import command_of
from clip_prompts.report.numbers import AVERAGE, Number, Row, Table
from clip_prompts.report.reading import Run


def runs_view(table: Table, kind: str, section: str) -> list[dict]:
    """Returns an entry per method and dataset, with its columns: number, seeds with folders, commands.

    H is of the runs of base and new, and averages are of all, so they have no part of their own.

    Args:
        section: its ``id``, with which anchors begin.
    """
    entries = []
    for row, anchor, name in rows_of(table, section):
        parts = [
            _part(table, row, column, kind, part_anchor(anchor, i))
            for i, column in enumerate(table.columns)
            if is_of_runs(row, column)
        ]
        if parts:
            title = f"{row.label} on {name}" if name else row.label
            entries.append({"id": anchor, "title": title, "parts": parts})
    return entries


def rows_of(table: Table, section: str) -> list[tuple[Row, str, str]]:
    """Returns row, anchor and dataset of all rows that are no averages; the dataset is "" if it is a column."""
    blocks = [block for block in table.blocks if not (block.name and block.name.startswith(AVERAGE))]
    rows = [(row, block.name) for block in blocks for row in block.rows]
    return [(row, f"{section}-r{i}", name) for i, (row, name) in enumerate(rows, 1)]


def part_anchor(anchor: str, column: int) -> str:
    return f"{anchor}-c{column + 1}"


def is_of_runs(row: Row, column: str) -> bool:
    """True if a column holds a number with a run for each seed."""
    value = row.number(column)
    return value is not None and column != "H" and not column.startswith(AVERAGE) and bool(value.runs)


def _part(table: Table, row: Row, column: str, kind: str, anchor: str) -> dict:
    value = row.values[column]
    assert isinstance(value, Number)
    runs = [(seed, run) for seed, found in value.runs.items() for run in found]
    shown = [
        {"seed": "" if seed is None else str(seed), "accuracy": f"{run.accuracy:.2f}", "folder": _folder(run)}
        for seed, run in runs
    ]
    commands = [command_of(run) for _, run in runs]
    return {
        "id": anchor,
        "name": f"{column} shot{'s' * (column != '1')}" if table.key.get("protocol") == "few_shot" else column,
        "value": formats._cells(table, row, [column], kind, " ± ")[0],
        "runs": shown,
        "commands": "\n".join(filter(None, commands)),
        "lacks": commands.count(""),
    }


def _folder(run: Run) -> str:
    return printable(str(run.path.parent))
