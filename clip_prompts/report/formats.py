"""Tables as terminal text, GitHub Markdown, LaTeX (booktabs) and CSV."""

import csv
import io
import textwrap

from clip_prompts.common.text import csv_cell, markdown, printable
from clip_prompts.report.numbers import Block, Number, Row, Table
from clip_prompts.report.statistics import SPREADS, spread

WIDTH = 100
_BOLD, _END = "\ue000", "\ue001"  # private characters: tabulate escapes what LaTeX would understand


def render(tables: list[Table], form: str, kind: str = "std", details: bool = False) -> str:
    """Returns all tables as one text.

    Args:
        form: terminal, markdown, latex or csv. kind: meaning of the ±, one of ``SPREADS``. details: also print the
            hashes of weights and test images.
    """
    if form == "csv":
        return _csv(tables, kind)
    one = {"terminal": _terminal, "markdown": _markdown, "latex": _latex}[form]
    return "\n\n".join(one(table, kind, details) for table in tables) + "\n"


def _terminal(table: Table, kind: str, details: bool) -> str:
    lines = [printable(table.title), "", "\n\n".join(_fitting(table, kind)), "", *_wrap(_facts(table, kind, details))]
    return "\n".join([*lines, *(line for note in table.notes for line in _wrap([f"Note: {note}"]))])


def _fitting(table: Table, kind: str) -> list[str]:
    """Returns the table within ``WIDTH``: with narrower cells, else turned round, else in pieces."""
    turned = [_turned(table)] if [b.name for b in table.blocks] == [""] else []
    for shape in (table, *turned):
        for between in (" ± ", "±"):
            text = _body(shape, shape.columns, kind, between)
            if max(map(len, text.splitlines())) <= WIDTH:
                return [text]
    pieces, columns = [], list(table.columns)
    while columns:
        size = len(columns)
        while size > 1 and max(map(len, _body(table, columns[:size], kind, "±").splitlines())) > WIDTH:
            size -= 1
        pieces.append(_body(table, columns[:size], kind, "±"))
        columns = columns[size:]
    return pieces


def _turned(table: Table) -> Table:
    """Swaps rows and columns. Zero-shot rows become text, so that they are not marked for a lack of seeds."""
    rows = table.blocks[0].rows
    turned = [
        Row(column, {row.label: _unmarked(row, column, table.n) for row in rows})
        for column in table.columns
    ]  # fmt: skip
    found = Table(table.title, [], [row.label for row in rows], [Block("", turned)], corner="dataset")
    found.n = table.n
    return found


def _unmarked(row: Row, column: str, usual: int):
    value = row.values.get(column)
    return _text(value, "std", "", usual, True) if row.is_zero_shot and value is not None else value


def _body(table: Table, columns: list[str], kind: str, between: str) -> str:
    from tabulate import tabulate

    indent = "  " if any(block.name for block in table.blocks) else ""
    rows = [row for block in table.blocks for row in block.rows]
    cells = [[printable(row.label), *_cells(table, row, columns, kind, between)] for row in rows]
    align = ("left", *("right" for _ in columns))
    text = tabulate(cells, [table.corner, *map(printable, columns)], "simple", disable_numparse=True, colalign=align)
    head, body = text.splitlines()[:2], text.splitlines()[2:]
    lines = [f"{indent}{line}" for line in head]
    for block in table.blocks:
        lines += [printable(block.name)] if block.name else []
        lines += [f"{indent}{line}" for line in body[: len(block.rows)]]
        body = body[len(block.rows) :]
    return "\n".join(line.rstrip() for line in lines)


def _markdown(table: Table, kind: str, details: bool) -> str:
    text = _flat_table(table, kind, "github", lambda s: f"**{s}**", markdown)
    notes = "".join(f"\n- {markdown(note)}" for note in table.notes)
    facts = markdown("; ".join(_facts(table, kind, details)))
    return f"### {markdown(table.title)}\n\n{text}\n\n{facts[:1].upper()}{facts[1:]}." + (f"\n{notes}" if notes else "")


def _latex(table: Table, kind: str, details: bool) -> str:
    text = _flat_table(table, kind, "latex_booktabs", lambda s: f"{_BOLD}{s}{_END}", printable)
    text = text.replace(_BOLD, "\\textbf{").replace(_END, "}").replace("±", "$\\pm$")
    comments = [*_facts(table, kind, details), *(f"Note: {note}" for note in table.notes)]
    head = [f"% {printable(table.title)}", "% needs \\usepackage{booktabs}"]
    return "\n".join([*head, text, *(f"% {printable(line)}" for line in comments)])


def _flat_table(table: Table, kind: str, form: str, bold, escape) -> str:
    from tabulate import tabulate

    headed = any(block.name for block in table.blocks)
    rows = []
    for block in table.blocks:
        for row in block.rows:
            texts = _cells(table, row, table.columns, kind, " ± ")
            texts = [bold(t) if c in row.best else t for c, t in zip(table.columns, texts, strict=True)]
            rows.append([*([escape(block.name)] if headed else []), escape(row.label), *texts])
    head = [*([table.heading] if headed else []), table.corner, *map(escape, table.columns)]
    align = [*(["left"] if headed else []), "left", *("right" for _ in table.columns)]
    return tabulate(rows, head, form, disable_numparse=True, colalign=align)


def _facts(table: Table, kind: str, details: bool = False) -> list[str]:
    hashes = table.details if details else []
    if not table.numbers():
        return [*table.facts, *hashes]
    n = table.n
    shown = f"mean ± {SPREADS[kind]} over seeds (n = {n})" if n > 1 else "single runs (n = 1)"
    return [*table.facts, f"accuracy in %, {shown}", *(["[k]: over k seeds"] if _uneven(table) else []), *hashes]


def _uneven(table: Table) -> bool:
    return any(
        "[" in text for b in table.blocks for r in b.rows for text in _cells(table, r, table.columns, "std", " ")
    )


def _cells(table: Table, row: Row, columns: list[str], kind: str, between: str) -> list[str]:
    return [_text(row.values.get(c), kind, between, table.n, row.is_zero_shot) for c in columns]


def _text(value, kind: str, between: str, usual: int, zero_shot: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, Number):
        values = list(value.by_seed.values())  # a zero-shot method gives one number for every seed: no spread
        width = None if zero_shot and len(set(values)) == 1 else spread(values, kind)
        text = f"{value.mean:.2f}" + (f"{between}{width:.2f}" if width is not None else "")
        return text if zero_shot or value.n in (usual, 0) else f"{text} [{value.n}]"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _wrap(parts: list[str]) -> list[str]:
    lines: list[str] = []
    for part in map(printable, parts):
        if lines and len(lines[-1]) + len(part) + 2 <= WIDTH:
            lines[-1] += f"; {part}"
        else:
            lines += textwrap.wrap(part, WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""]
    return lines


def _csv(tables: list[Table], kind: str) -> str:
    """Write one line per value, in full precision: pandas reads it, and all tables fit into one file."""
    keys = ("protocol", "backbone", "shots", "selection", "source")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", *keys, "group", "row", "column", "value", "spread", "spread_kind", "n", "best"])
    for table in tables:
        for block in table.blocks:
            for row in block.rows:
                for column in table.columns:
                    value = row.values.get(column)
                    shown = [value, None, None, None if value is not None else 0]
                    if isinstance(value, Number):
                        shown = [value.mean, spread(list(value.by_seed.values()), kind), kind, value.n]
                    head = [table.title, *(table.key.get(k) for k in keys), block.name, row.label, column]
                    writer.writerow(map(csv_cell, [*head, *shown, int(column in row.best)]))
    return out.getvalue()
