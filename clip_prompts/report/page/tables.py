"""Tables for the page's template: the texts of the terminal tables, with the values that sorting needs."""

from clip_prompts.report import formats
from clip_prompts.report.numbers import AVERAGE, Number, Table
from clip_prompts.report.page.evaluations import Group, confusions, per_class

PAIRS = 12  # most frequent confusions that are shown


def table_view(table: Table, kind: str, styles: dict[str, int]) -> dict:
    """Returns headings, facts and bodies of rows; averages are a body of their own, so that sorting keeps them last."""
    headed = any(block.name for block in table.blocks)
    heads = [*([table.heading] if headed else []), table.corner]
    bodies: list[dict] = []
    for block in table.blocks:
        average = headed and block.name.startswith(AVERAGE)
        if not bodies or average:
            bodies.append({"average": average, "rows": []})
        for i, row in enumerate(block.rows):
            texts = formats._cells(table, row, table.columns, kind, " ± ")
            cells = [
                _cell(text, row.values.get(c), c in row.best) for c, text in zip(table.columns, texts, strict=True)
            ]
            shown = {"dataset": block.name if headed else None, "again": i > 0, "label": row.label, "cells": cells}
            bodies[-1]["rows"].append(shown | {"style": styles.get(row.label), "is_ranked": row.is_ranked})
    facts = formats._facts(table, kind)
    return {"heads": heads, "columns": table.columns, "bodies": bodies, "facts": facts, "notes": table.notes}


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
                "style": styles[entry.label],
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
