"""Accuracy over the number of shots: the curves of a few-shot table, for the page and for figures."""

from dataclasses import dataclass

from clip_prompts.report.numbers import AVERAGE, Block, Row, Table
from clip_prompts.report.statistics import spread


@dataclass(frozen=True)
class Curve:
    """A method's accuracies. ``points``: shots, mean over seeds in percent, and the number after the ± (0: none)."""

    label: str
    is_zero_shot: bool
    points: list[tuple[int, float, float]]


@dataclass(frozen=True)
class Panel:
    """The curves of one dataset, or of the average. ``shots``: all numbers of shots of the table, 0 for zero-shot."""

    title: str
    shots: list[int]
    curves: list[Curve]


def panels(table: Table, kind: str) -> list[Panel]:
    """Returns a panel per dataset, the average first, if it is of the same datasets at every number of shots.

    [] if the table has a single number of shots, which makes no curve.

    Args:
        table: of the protocol few_shot. kind: meaning of the ±, one of ``SPREADS``.
    """
    shots = [int(c) for c in table.columns if c.isdigit()]
    if len([s for s in shots if s]) < 2:
        return []
    blocks = [block for block in table.blocks if block.name != AVERAGE]  # named so, it is of other ones at each
    blocks.sort(key=lambda block: not block.name.startswith(AVERAGE))
    found = [Panel(_title(block), shots, _curves(block, shots, kind)) for block in blocks]
    return [panel for panel in found if panel.curves]


def _title(block: Block) -> str:
    return block.name[:1].upper() + block.name[1:] if block.name.startswith(AVERAGE) else block.name


def _curves(block: Block, shots: list[int], kind: str) -> list[Curve]:
    curves = [Curve(row.label, row.is_zero_shot, _points(row, shots, kind)) for row in block.rows]
    return [curve for curve in curves if curve.points]


def _points(row: Row, shots: list[int], kind: str) -> list[tuple[int, float, float]]:
    found = []
    for count in shots:
        if value := row.number(str(count)):
            half = 0.0 if row.is_zero_shot else spread(list(value.by_seed.values()), kind) or 0.0
            found.append((count, value.mean, half))
    return found
