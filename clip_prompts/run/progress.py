"""A run as it is drawn on a terminal: a row per epoch, a line while it tests, and the result."""

import os
import statistics
import time

from clip_prompts.common.text import printable
from clip_prompts.records.curve import EpochLog
from clip_prompts.records.results_file import FILE
from clip_prompts.records.upstream import Observer

from .console import Console, Line, columns, duration

PAUSE = 0.1  # seconds between two drawings
FIRST = 2.0  # seconds of the first epoch after which its pace predicts the rest
_PERCENT = ("accuracy", "error_rate", "macro_f1", "perclass_accuracy")  # metrics of Dassl's evaluator


class EpochRows(Observer):
    """Draws a table with a row per epoch; the last row is drawn again while its epoch runs and is validated.

    Without events of steps (upstream's Dassl, a trainer's own loop) a row is drawn at the end of its epoch.

    Args:
        has_validation: True if every epoch is validated. batch_size: images of a step. log: observes the epochs before
            this does; it has the learning rate, and knows if an epoch is resumed, which says nothing about the speed.
    """

    def __init__(self, console: Console, has_validation: bool, batch_size: int, log: EpochLog | None) -> None:
        self.console, self.has_validation, self.batch_size, self.log = console, has_validation, batch_size, log
        self.began: float | None = None  # the training, in seconds of time.perf_counter
        self._row: Line | None = None
        self._heads: list[str] = []
        self._cells: list[tuple[str, int, str]] = []
        self._pace = _Pace()
        self._drawn = 0.0

    def run_begins(self, trainer) -> None:
        self.began = time.perf_counter()

    def epoch_begins(self, trainer) -> None:
        self.stop()
        self._rate = self.log.rate if self.log else None
        self._sums: dict[str, float] = {}
        self._pace.epoch_begins(is_whole=not (self.log and self.log.is_resumed))

    def step_ends(self, trainer, metrics: dict | None) -> None:
        for name, value in (metrics or {}).items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._pace.step_ends()
        if time.perf_counter() - self._drawn > PAUSE:
            done = self._pace.steps
            self._fill(trainer, {name: total / done for name, total in self._sums.items()})
            self._draw(done / trainer.num_batches)

    def epoch_ends(self, trainer, metrics: dict[str, float]) -> None:
        if not metrics and not self._pace.steps:  # there is nothing to say about it
            return
        self._fill(trainer, metrics)
        self._draw()
        if not self.has_validation:
            self.stop()

    def validates(self, shown: str) -> None:
        """Put a text into the column of the validation."""
        self._cells = [(name, width, shown if name == "val %" else text) for name, width, text in self._cells]
        self._draw()

    def stop(self) -> None:
        """Let the running row be the last drawing of its epoch."""
        row, self._row = self._row, None
        if row:
            row.end(self._text())

    @property
    def is_drawing(self) -> bool:
        return self._row is not None

    def _fill(self, trainer, means: dict[str, float]) -> None:
        """Set the cells of the row: (head, width, text)."""
        epochs = f"{trainer.epoch + 1}/{trainer.max_epoch}"
        percent = {name: name.startswith("acc") for name in means}
        cells = [("epoch", max(5, len(f"{trainer.max_epoch}/{trainer.max_epoch}")), epochs)]
        cells += [
            (f"{name} %", max(len(name) + 4, 7), f"{mean:.1f}") if percent[name]
            else (printable(name), max(len(name) + 2, 8), _number(mean))
            for name, mean in means.items()
        ]  # fmt: skip
        cells += [("val %", 7, "")] if self.has_validation else []
        speed, left = self._pace.steps_per_second, self._pace.left(trainer)
        cells += [
            ("lr", 9, f"{self._rate:.1e}" if self._rate else "-"),
            ("img/s", 8, f"{speed * self.batch_size:,.0f}" if speed else "-"),
            ("left", 9, "-" if left is None else duration(left)),
        ]
        self._cells = _fitting(cells, columns(self.console) - 1)

    def _draw(self, share: float | None = None) -> None:
        heads = [name for name, _, _ in self._cells]
        if heads != self._heads:
            self._heads = heads
            self.console.show("\n" + "".join(f"{name:>{width}}" for name, width, _ in self._cells))
        if self._row is None:
            self._row = Line(self.console)
        self._row.draw(self._text(), share)
        self._drawn = time.perf_counter()

    def _text(self) -> str:
        return "".join(f"{text:>{width}}" for _, width, text in self._cells)


class TestLine(Observer):
    """Draws a line while the model is tested, then prints the result; a validation is a column of its epoch's row.

    Args:
        draws: False if the trainer's own ``test`` draws a bar.
    """

    asked: str | None = None  # the split that ``test`` was called with

    def __init__(self, console: Console, rows: EpochRows, draws: bool, folder: str) -> None:
        self.console, self.rows, self.draws, self.folder = console, rows, draws, folder
        self._line: Line | None = None

    def test_begins(self, trainer, split: str | None) -> None:
        self.asked = split
        self._began, self._drawn, self._batches, self._images = time.perf_counter(), 0.0, 0, 0
        is_val = (split or trainer.cfg.TEST.SPLIT) == "val" and trainer.val_loader is not None
        loader = trainer.val_loader if is_val else trainer.test_loader
        self._total, self._all = max(1, len(loader)), len(loader.dataset)
        if not self._validates:
            self.rows.stop()
            if self.draws and self._line is None:
                self._line = Line(self.console)

    @property
    def _validates(self) -> bool:
        return self.asked == "val" and self.rows.is_drawing

    def batch_tested(self, trainer, batch, output, label) -> None:
        self._batches, self._images = self._batches + 1, self._images + len(label)
        now = time.perf_counter()
        if now - self._drawn < PAUSE:
            return
        self._drawn, share = now, self._batches / self._total
        if self._validates:
            self.rows.validates(f"({100 * share:.0f})")
        elif self._line:
            speed = self._images / (now - self._began)
            self._line.draw(f"testing  {self._images:,} of {self._all:,} images  {speed:,.0f} img/s", share)

    def test_ends(self, trainer, split: str, results: dict) -> None:
        if self._validates:
            self.rows.validates(f"{next(iter(results.values())):.1f}")
            self.rows.stop()
            return
        self.stop()
        now, began = time.perf_counter(), self.rows.began
        rows = [(name.replace("_f1", " F1").replace("_", " "), f"{value:.2f}", "%" if name in _PERCENT else "")
                for name, value in results.items() if name != "error_rate"]  # fmt: skip
        rows += [(f"{split} images", f"{self._images:,}", ""), ("testing", f"{now - self._began:,.1f}", "s")]
        rows += [("training", f"{self._began - began:,.1f}", "s")] if began else []
        self.console.show(f"\n{_table(rows)}\n\nrecorded in {os.path.join(self.folder, FILE)}")

    def stop(self) -> None:
        line, self._line = self._line, None
        if line:
            line.remove()


class _Pace:
    """Predicts the time that is left from the epochs and steps so far."""

    def __init__(self) -> None:
        self.steps = 0  # of the running epoch
        self._epochs: list[float] = []  # seconds of finished ones, with validation
        self._began = self._last = self._first = 0.0  # times of the epoch's begin, newest step and first step
        self._is_whole = False  # the running epoch, which this process then trains from its first step on

    def epoch_begins(self, is_whole: bool) -> None:
        now = time.perf_counter()
        if self._is_whole:
            self._epochs.append(now - self._began)
        self.steps, self._began, self._last, self._is_whole = 0, now, 0.0, is_whole

    def step_ends(self) -> None:
        self.steps, self._last = self.steps + 1, time.perf_counter()
        if self.steps == 1:
            self._first = self._last

    @property
    def steps_per_second(self) -> float | None:
        """Speed of the running epoch; None if it is unknown."""
        return self.steps / (self._last - self._began) if self._is_whole and self._last > self._began else None

    def left(self, trainer) -> float | None:
        """Seconds of training that are left; None while too little is known."""
        epochs, batches = trainer.max_epoch - trainer.epoch, getattr(trainer, "num_batches", None)
        done = self.steps / batches if batches else 0.0
        if self._epochs:
            return statistics.median(self._epochs[-5:]) * (epochs - done)
        if not self._is_whole:
            return None
        now = time.perf_counter()
        if done >= 1.0:  # of the first epoch
            return (now - self._began) * (epochs - 1)
        if self.steps < 3 or now - self._first < FIRST or not batches:
            return None
        return (now - self._first) / (self.steps - 1) * (batches * epochs - self.steps)


def _fitting(cells: list[tuple[str, int, str]], width: int) -> list[tuple[str, int, str]]:
    """Returns the cells without the last terms of the loss that have no room."""
    terms = [cell for cell in cells[2:] if not cell[0].endswith("%") and cell[0] not in ("lr", "img/s", "left")]
    while terms and sum(cell[1] for cell in cells) > width:
        cells = [cell for cell in cells if cell is not terms[-1]]
        terms.pop()
    return cells


def _number(value: float) -> str:
    """At most six characters for numbers from 0 to 10,000."""
    size = abs(value)
    return f"{value:.4f}" if size < 10 else f"{value:.3f}" if size < 100 else f"{value:.4g}"


def _table(rows: list[tuple[str, str, str]]) -> str:
    from tabulate import tabulate

    align = ("left", "right", "left")
    return tabulate(rows, ["metric", "value", "unit"], "simple", disable_numparse=True, colalign=align)
