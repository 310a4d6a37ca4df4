"""Tables for the page's template: the texts of the terminal tables, with the values that sorting needs."""

from collections.abc import Iterable

from clip_prompts.report import formats
from clip_prompts.report.numbers import AVERAGE, Block, Number, Row, Table
from clip_prompts.report.page.evaluations import Group, confusions, per_class
from clip_prompts.report.page.runs import is_of_runs, part_anchor, rows_of
from clip_prompts.report.page.svg import colour

PAIRS = 12  # most frequent confusions that are shown
ENDS = 20  # best and worst classes that are shown without scripts


def table_view(table: Table, kind: str, section: str) -> dict:
    """Returns headings, facts, and a body of rows for each block, so that sorting stays within a dataset.

    In a few-shot table, zero-shot numbers are repeated at every number of shots and have no column of their own: a
    reference, with which the others compete.

    Args:
        section: its ``id``, with which the anchors of cells begin.
    """
    anchors = {id(row): anchor for row, anchor, _ in rows_of(table, section)}
    over_shots = table.key.get("protocol") == "few_shot" and table.columns != ["0"]
    columns = [c for c in table.columns if not (over_shots and c == "0")]
    key = next((c for c in columns if c == "H" or c.startswith(AVERAGE)), "")  # narrow windows show it too
    bodies = []
    for block in table.blocks:
        sources = [{c: "0" if over_shots and _repeats(row, c) else c for c in columns} for row in block.rows]
        values = [{c: row.values.get(of[c]) for c in columns} for row, of in zip(block.rows, sources, strict=True)]
        best = _best(block, values)
        rows = []
        for row, of, shown in zip(block.rows, sources, values, strict=True):
            texts = formats._cells(table, Row(row.label, shown, row.method), columns, kind, " ± ")
            cells = [
                _cell(text, shown[c], row.label in best[c])
                | {"link": _link(row, of[c], table, anchors), "repeated": of[c] != c, "key": c == key}
                for c, text in zip(columns, texts, strict=True)
            ]
            rows.append({"label": row.label, "cells": cells, "last": not row.is_ranked})
        bodies.append({"name": block.name, "average": block.name.startswith(AVERAGE), "rows": rows})
    grey = "Grey: zero-shot, which learns from no image, so it is the same in every column"
    repeats = over_shots and any(row.is_zero_shot for block in table.blocks for row in block.rows)
    return {
        "corner": table.corner,
        "columns": [{"name": c, "key": c == key} for c in columns],
        "bodies": bodies,
        "facts": formats._facts(table, kind),
        "details": formats._facts(table, kind, details=True),
        "notes": table.notes + ([grey] if repeats else []),
    }


def _repeats(row: Row, column: str) -> bool:
    """True if a zero-shot number belongs into a few-shot table's column: one of shots, not of cost."""
    return row.is_zero_shot and (column.isdigit() or column == "all")


def _best(block: Block, values: list[dict]) -> dict[str, set[str]]:
    """Returns column -> labels with the highest number there, as printed, if there is a choice of ranked methods."""
    found: dict[str, set[str]] = {}
    for column in values[0] if values else ():
        shown = [(row.label, own[column]) for row, own in zip(block.rows, values, strict=True) if row.is_ranked]
        means = {label: round(value.mean, 2) for label, value in shown if isinstance(value, Number)}
        found[column] = {label for label in means if means[label] == max(means.values())} if len(means) > 1 else set()
    return found


def _link(row: Row, column: str, table: Table, anchors: dict[int, str]) -> str:
    """Returns the anchor of the runs behind a cell; "" where it is an average or no number."""
    if not (anchor := anchors.get(id(row), "")) or row.number(column) is None:
        return ""
    if is_of_runs(row, column):
        return part_anchor(anchor, table.columns.index(column))
    return anchor if column == "H" else ""


def _cell(text: str, value: object, best: bool) -> dict:
    mean, _, rest = text.partition(" ± ")
    number = value.mean if isinstance(value, Number) else value
    sort = repr(number) if isinstance(number, int | float) else ""
    return {"mean": mean, "spread": f"± {rest}" if rest else "", "sort": sort, "best": best}


def class_data(groups: list[Group], styles: dict[str, int]) -> list[dict]:
    """Returns the accuracy of each class per group and method, in percent; None without images of the class."""
    found = []
    for group in groups:
        tables = {entry.label: per_class(entry) for entry in group.entries}
        tables = {label: classes for label, classes in tables.items() if classes}
        labels = sorted({c for classes in tables.values() for c in classes})
        labels = [c for c in labels if any(classes.get(c, ("", 0, 0))[1] for classes in tables.values())]
        names = [next(classes[c][0] for classes in tables.values() if c in classes) for c in labels]
        methods = [
            {
                "label": entry.label,
                "is_zero_shot": entry.row.is_zero_shot,
                "style": colour(styles[entry.label]),
                "accuracy": [
                    round(100 * correct / total, 2) if total else None
                    for _, total, correct in (tables[entry.label].get(c, ("", 0, 0)) for c in labels)
                ],
            }
            for entry in group.entries
            if entry.label in tables
        ]
        found.append({"classes": names, "methods": methods})
    return found


def class_table(data: dict) -> dict:
    """Returns the classes with the highest and the lowest accuracy, by method, for readers without scripts."""

    def mean(values: Iterable[float | None]) -> float:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else 0.0

    by_class = zip(data["classes"], *(method["accuracy"] for method in data["methods"]), strict=True)
    rows = sorted(by_class, key=lambda row: -mean(row[1:]))
    left_out = max(0, len(rows) - 2 * ENDS)
    kept = rows[:ENDS] + rows[-ENDS:] if left_out else rows
    shown = [[name, *("-" if v is None else f"{v:.1f}" for v in values)] for name, *values in kept]
    return {"methods": [method["label"] for method in data["methods"]], "rows": shown, "left_out": left_out}


def confusion_view(group: Group) -> dict | None:
    """Returns the most confused pairs, as images per test run, by method; None without a record of them."""
    counts: dict[str, dict[tuple, float]] = {}
    names: dict[int, str] = {}
    images: dict[int, float] = {}
    for entry in group.entries:
        classes = per_class(entry)
        if not classes:
            continue
        counts[entry.label] = {pair: n / len(entry.runs) for pair, n in confusions(entry).items()}
        names |= {label: name for label, (name, _, _) in classes.items()}
        images |= {label: total / len(entry.runs) for label, (_, total, _) in classes.items()}
    pairs = {pair: sum(found.get(pair, 0) for found in counts.values()) for found in counts.values() for pair in found}
    if not pairs:
        return None
    most = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:PAIRS]
    rows = [
        {
            "true": names.get(true, f"class {true}"),
            "predicted": names.get(predicted, f"class {predicted}"),
            "images": _short(images.get(true, 0)),
            "counts": [_short(found.get((true, predicted), 0)) for found in counts.values()],
        }
        for true, predicted in most
    ]
    return {"methods": list(counts), "rows": rows, "more": len(pairs) - len(most)}


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
