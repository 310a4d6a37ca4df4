"""The page's pictures: accuracy over shots, base against new, accuracy against cost, reliability, loss over epochs."""

import math

from clip_prompts.report.cost import LEARNED, MEMORIES, SPEED, cost_of
from clip_prompts.report.numbers import AVERAGE, Block, Row, Table
from clip_prompts.report.page.evaluations import Entry, Group, calibration, calibration_error, losses
from clip_prompts.report.page.svg import Chart, around, look, round_factors
from clip_prompts.report.shots import Panel, panels

Styles = dict[str, int]  # label of a method -> its colour and marker


def shot_curves(table: Table, kind: str, styles: Styles) -> list[Chart]:
    """Returns the panels of ``shots.panels``."""
    return [_shot_panel(panel, styles) for panel in panels(table, kind)]


def _shot_panel(panel: Panel, styles: Styles) -> Chart:
    places = {count: float(i) for i, count in enumerate(panel.shots)}
    ends = [y + sign * half for curve in panel.curves for _, y, half in curve.points for sign in (-1, 1)]
    about = "; ".join(
        f"{curve.label}: " + ", ".join(f"{y:.2f} % at {_shots(count)}" for count, y, _ in curve.points)
        for curve in panel.curves
    )
    ticks, last = {i: str(count) for count, i in places.items()}, len(places) - 0.7
    low, high = around(ends, 0, 100)
    chart = Chart(panel.title, about, (-0.3, last), (low, high), ("shots per class", "accuracy (%)"), ticks)
    learning = [curve.label for curve in panel.curves if not curve.is_zero_shot]
    for curve in panel.curves:
        style, aside = look(styles[curve.label]), 0.0
        if curve.label in learning:
            aside = (learning.index(curve.label) - (len(learning) - 1) / 2) * min(0.07, 0.6 / len(learning))
        points = [(places[count] + aside, y, half, count) for count, y, half in curve.points]
        if curve.is_zero_shot:
            chart.line([(-0.3, points[0][1]), (last, points[0][1])], f"line dashed {style}")
        elif len(points) > 1:
            chart.line([(x, y) for x, y, _, _ in points], f"line {style}")
        if whiskers := [(x, y, half) for x, y, half, _ in points if half]:
            chart.whiskers(whiskers, f"whisker {style}")
        for x, y, half, count in points:
            text = f"{curve.label}, {_shots(count)}: {y:.2f} %" + (f" ± {half:.2f}" if half else "")
            chart.mark(x, y, styles[curve.label], text)
    return chart


def _shots(count: int) -> str:
    return f"{count} shot{'s' * (count != 1)}"


def base_against_new(table: Table, styles: Styles) -> list[Chart]:
    """Returns a panel per dataset, the average first: a point per method, and the diagonal of equal accuracy.

    Dashed lines through zero-shot's accuracies divide better from worse.
    """
    blocks = sorted(table.blocks, key=lambda block: not block.name.startswith(AVERAGE))
    return [chart for block in blocks if (chart := _base_panel(block, styles))]


def _base_panel(block: Block, styles: Styles) -> Chart | None:
    found = [(row, row.number("base"), row.number("new")) for row in block.rows]
    points = [(row, base.mean, new.mean) for row, base, new in found if base and new]
    if not points:
        return None
    x = around([base for _, base, _ in points], 0, 100)
    y = around([new for _, _, new in points], 0, 100)
    about = [f"{row.label}: base {base:.2f} %, new {new:.2f} %" for row, base, new in points]
    names = ("base classes (%)", "new classes (%)")
    chart = Chart(block.name[:1].upper() + block.name[1:], "; ".join(about), x, y, names, size=(300, 260))
    low, high = max(x[0], y[0]), min(x[1], y[1])
    if low < high:
        chart.line([(low, low), (high, high)], "diagonal")
    for row, base, new in points:
        if row.is_zero_shot:
            chart.line([(base, y[0]), (base, y[1])], f"line dashed {look(styles[row.label])}")
            chart.line([(x[0], new), (x[1], new)], f"line dashed {look(styles[row.label])}")
    texts = zip(points, about, strict=True)
    chart.marks([(base, new, styles[row.label], text, True) for (row, base, new), text in texts])
    return chart


def accuracy_against_cost(table: Table, styles: Styles) -> list[Chart]:
    """Returns a panel for each kind of cost that at least two learning methods have recorded.

    The accuracy is that of the last block (the average, if there is one): H, or the average column, or the last one.
    Zero-shot methods cost no training: they are a dashed line.
    """
    block = table.blocks[-1]
    columns = [c for c in table.columns if any(row.number(c) for row in block.rows)]
    column = next((c for c in columns if c == "H" or c.startswith(AVERAGE)), columns[-1] if columns else "")
    levels = {row: level.mean for row in block.rows if (level := row.number(column) or row.number("0"))}
    costs = {row: cost_of(row) for row in levels if not row.is_zero_shot}
    for cost in costs.values():
        if (speed := cost.get(SPEED, 0)) > 1e-9:
            cost["time"] = 1000 / speed
    memory = next((name for name in MEMORIES if any(name in cost for cost in costs.values())), "")
    title = ", ".join(filter(None, [block.name, _shots(int(column)) if column.isdigit() else column]))
    charts = []
    for kind, name in {"time": "training (ms per image)", memory: memory, LEARNED: "learned numbers"}.items():
        points = {row: (cost[kind], levels[row]) for row, cost in costs.items() if cost.get(kind, 0) > 0}
        if len(points) > 1:
            idle = {row: level for row, level in levels.items() if row.is_zero_shot}
            charts.append(_cost_panel(title[:1].upper() + title[1:], name, points, idle, styles))
    return charts


def _cost_panel(title: str, name: str, points: dict, idle: dict[Row, float], styles: Styles) -> Chart:
    """Returns a chart with a logarithmic axis of cost. ``points``: row -> cost, accuracy. ``idle``: row -> accuracy."""
    costs = [cost for cost, _ in points.values()]
    low, high = min(costs) / 1.3, max(costs) * 1.3
    about = "; ".join(
        [f"{row.label}: {y:.2f} % at {x:.4g}" for row, (x, y) in points.items()]
        + [f"{row.label}: {y:.2f} %" for row, y in idle.items()]
    )
    bottom, top = around([y for _, y in points.values()] + list(idle.values()), 0, 100)
    ends = math.log10(low), math.log10(high)
    ticks = {math.log10(value): f"{value:,.10g}" for value in round_factors(low, high)}
    chart = Chart(title, about, ends, (bottom, top), (name, "accuracy (%)"), ticks)
    for row, y in idle.items():
        chart.line([(ends[0], y), (ends[1], y)], f"line dashed {look(styles[row.label])}")
    chart.marks(
        [
            (math.log10(x), y, styles[row.label], f"{row.label}: {y:.2f} %, {name} {x:,.4g}", True)
            for row, (x, y) in points.items()
        ]
    )
    return chart


def reliability(entry: Entry, styles: Styles) -> Chart | None:
    """Returns accuracy over confidence, with the distance to the diagonal; None if a record has no bins."""
    bins = calibration(entry)
    if not bins:
        return None
    error, images = calibration_error(bins), sum(n for n, _, _ in bins)
    used = [(i, b) for i, b in enumerate(bins) if b[0]]
    about = f"expected calibration error {error:.2f} %. " + "; ".join(
        f"confidence {100 * sure:.0f} %: accuracy {100 * hit:.0f} %, {n} images" for _, (n, sure, hit) in used
    )
    names = ("confidence", "accuracy; share of images")
    chart = Chart(entry.label, about, (0, 1), (0, 1), names, size=(250, 250))
    size = len(bins)
    chart.bars([_bar(i, size, 0, n / images) for i, (n, _, _) in used], "share")
    chart.bars([_bar(i, size, *sorted((sure, hit))) for i, (_, sure, hit) in used], "gap")
    chart.line([(0, 0), (1, 1)], "diagonal")
    tops = [f"M{chart.h(i / size):.1f} {chart.v(hit):.1f}H{chart.h((i + 1) / size):.1f}" for i, (_, _, hit) in used]
    chart.path("".join(tops), f"line thick {look(styles[entry.label])}")
    chart.text(f"ECE {error:.2f} %", chart.h(0.03), chart.v(0.92), "note strong", "start")
    return chart


def _bar(i: int, of: int, low: float, high: float) -> tuple[float, float, float, float]:
    return (i + 0.08) / of, (i + 0.92) / of, low, high


def training_curves(groups: list[Group], styles: Styles) -> list[Chart]:
    """Returns a panel for each dataset and method: a thin line for each seed, darker for more shots."""
    panels: dict[tuple[str, str], dict[int | None, list]] = {}
    for group in groups:
        for entry in group.entries:
            lines = [points for run in entry.runs if len(points := losses(run)) > 1]
            if lines and not entry.row.is_zero_shot:
                shots = panels.setdefault((group.dataset, entry.label), {})
                shots.setdefault(group.shots, []).extend(lines)
    return [_training_panel(*key, by_shots, styles[key[1]]) for key, by_shots in panels.items()]


def _training_panel(dataset: str, label: str, by_shots: dict[int | None, list], style: int) -> Chart:
    every = [point for lines in by_shots.values() for line in lines for point in line]
    last = max(x for x, _ in every)
    shots = sorted(by_shots, key=lambda s: s or 0)
    about = "; ".join(
        f"{f'{s} shots, ' if s else ''}{len(by_shots[s])} runs: loss from {_mean(by_shots[s], 0):.3g} "
        f"to {_mean(by_shots[s], -1):.3g}"
        for s in shots
    )
    names = ("epoch" + (" (darker: more shots)" if len(shots) > 1 else ""), "loss")
    low, high = around([y for _, y in every], 0)
    chart = Chart(f"{dataset}, {label}", about, (min(1, last), last), (low, high), names, size=(300, 200))
    for i, s in enumerate(shots):
        strength = 0.3 + 0.7 * (i + 1) / len(shots)
        for line in by_shots[s]:
            chart.line(line, f"line thin {look(style)}", opacity=f"{strength:.2f}")
    return chart


def _mean(lines: list, index: int) -> float:
    return sum(line[index][1] for line in lines) / len(lines)
