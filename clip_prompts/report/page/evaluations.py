"""The evaluations behind a table's cells, and the details of their records, pooled over seeds."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

from clip_prompts.report.numbers import AVERAGE, Number, Row, Table
from clip_prompts.report.reading import ReportError, Run

Bin = tuple[int, float, float]  # images, mean confidence, accuracy (both as fractions)


@dataclass(frozen=True)
class Entry:
    """A method's evaluations, over seeds, on one test list."""

    row: Row
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        return self.row.label


@dataclass(frozen=True)
class Group:
    """The methods that a table compares in one place: a dataset's classes at a number of shots."""

    name: str
    dataset: str
    shots: int | None
    entries: list[Entry]


def groups(table: Table) -> list[Group]:
    """Returns every place of a table, in its order. Zero-shot methods appear at each number of shots."""
    over_shots = table.key.get("protocol") == "few_shot"
    found: dict[tuple[str, str], dict[str, Entry]] = {}
    for block in table.blocks:
        if block.name.startswith(AVERAGE):
            continue
        columns = [c for c in table.columns if not c.startswith(AVERAGE) and c != "H"]
        numbers = {c for row in block.rows for c, value in row.values.items() if isinstance(value, Number)}
        learned = [c for c in columns if c != "0" and c in numbers]
        for column, row in product(columns, block.rows):
            if entry := _entry(row, column):
                for place in learned if over_shots and column == "0" else [column]:
                    found.setdefault((block.name, place), {})[row.label] = entry
    order = [row.label for block in table.blocks for row in block.rows]
    return [
        Group(
            _name(block, column, over_shots),
            block or column,
            int(column) if over_shots and column.isdigit() else None,
            sorted(entries.values(), key=lambda e: order.index(e.label)),
        )
        for (block, column), entries in found.items()
    ]


def _entry(row: Row, column: str) -> Entry | None:
    value = row.number(column)
    if not value or not value.runs or any(len(runs) != 1 for runs in value.runs.values()):
        return None
    return Entry(row, tuple(runs[0] for runs in value.runs.values()))


def _name(block: str, column: str, over_shots: bool) -> str:
    if over_shots:
        return f"{block}, {column} shot{'s' * (column != '1')}"
    if not block:
        return column
    return f"{block}, {'base and new classes jointly' if column == 'joint' else f'{column} classes'}"


def per_class(entry: Entry) -> dict[int, tuple[str, int, int]]:
    """Returns label -> name, images and hits."""
    found: dict[int, tuple[str, int, int]] = {}
    for run in entry.runs:
        with _reading(run, "per_class"):
            for c in run.record.get("per_class") or ():
                label, own, own_correct = (_whole(c[key]) for key in ("label", "total", "correct"))
                name, total, correct = found.get(label, (None, 0, 0))
                name = name or c["name"] or f"class {label}"
                found[label] = (str(name), total + own, correct + own_correct)
    return found


def confusions(entry: Entry) -> Counter:
    """Returns (true, predicted) -> images."""
    found: Counter = Counter()
    for run in entry.runs:
        with _reading(run, "confusion"):
            for true, predicted, count in run.record.get("confusion") or ():
                found[_whole(true), _whole(predicted)] += _whole(count)
    return found


def calibration(entry: Entry) -> list[Bin]:
    """Returns the bins of all seeds together; [] if a record has none."""
    pooled: list[Bin] = []
    for run in entry.runs:
        with _reading(run, "calibration"):
            own = [
                (_whole(b["count"]), _share(b["confidence"] or 0), _share(b["accuracy"] or 0))
                for b in run.record.get("calibration") or ()
            ]
        if not own or (pooled and len(own) != len(pooled)):
            return []
        pooled = [_together(a, b) for a, b in zip(pooled, own, strict=True)] if pooled else own
    return pooled if sum(n for n, _, _ in pooled) else []


def _together(a: Bin, b: Bin) -> Bin:
    n = a[0] + b[0]
    mean = [(a[0] * x + b[0] * y) / n if n else 0.0 for x, y in zip(a[1:], b[1:], strict=True)]
    return n, mean[0], mean[1]


def calibration_error(bins: list[Bin]) -> float:
    """Returns the expected calibration error in percent: mean |accuracy - confidence| over images."""
    return 100 * sum(n * abs(hit - sure) for n, sure, hit in bins) / sum(n for n, _, _ in bins)


def losses(run: Run) -> list[tuple[float, float]]:
    """Returns (epoch, loss) as the trainer reported them."""
    with _reading(run, "curve"):
        points = [(p["epoch"], p.get("loss")) for p in run.record.get("curve") or ()]
        return [(float(_whole(epoch)), _finite(loss)) for epoch, loss in points if loss is not None]


def _whole(value: object) -> int:
    """Returns a count or label from 0, of less than 16 digits: such numbers can be added and drawn."""
    if type(value) is not int or not 0 <= value < 10**15:
        raise ValueError
    return value


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < 10**15:
        raise ValueError
    return float(value)


def _share(value: object) -> float:
    share = _finite(value)
    if not 0 <= share <= 1 + 1e-6:
        raise ValueError
    return share


@contextmanager
def _reading(run: Run, field: str) -> Iterator[None]:
    """Turns an error from a damaged field into a user error."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{run.path}: the field '{field}' is not in the form that train.py writes. Run its job again"
        ) from error
