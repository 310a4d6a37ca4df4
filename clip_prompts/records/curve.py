"""``curve.json``: the means of what a trainer reports per epoch, kept so that a resumed run has all epochs."""

import json
import time
from pathlib import Path

from clip_prompts.common.files import read_json, write_text_atomically
from clip_prompts.common.text import shown

from .metrics import finite
from .trackers import Tracker
from .upstream import Observer

FILE = "curve.json"


class EpochLog(Observer):
    """Writes a point per epoch. It works at the beginning and at the end of epochs only.

    Args:
        trainer: any trainer of Dassl, built. Our engine saves the running epoch with its checkpoints.
        folder: its output folder. resume: the folder it may resume from. tracker: gets each point.

    ``began``: when the training began, in seconds of ``time.perf_counter``; None before. ``durations``: seconds and
    number of steps of each epoch that this process has trained as a whole.
    """

    def __init__(self, trainer, folder: str, resume: str = "", tracker: Tracker | None = None) -> None:
        self.trainer, self.path, self.tracker = trainer, Path(folder) / FILE, tracker or Tracker()
        self.began: float | None = None
        self.durations: list[tuple[float, int]] = []
        self._epoch_began = 0.0
        self._earlier = Path(resume) / FILE if resume else self.path
        self._points: list[dict] | None = None
        self._running: dict = {}  # number and learning rate of the running epoch
        self._resumed: dict = {}  # the same of an epoch that began before the run was resumed
        trainer.epoch_log = self
        trainer.STATE = (*getattr(trainer, "STATE", ()), "epoch_log")

    def run_begins(self, trainer) -> None:
        self.began = time.perf_counter()

    def epoch_begins(self, trainer) -> None:
        epoch = trainer.epoch + 1
        rate = self._resumed["lr"] if self._resumed.get("epoch") == epoch else _rate(trainer)
        self._running = {"epoch": epoch, "lr": rate}
        self._epoch_began = time.perf_counter()

    def epoch_ends(self, trainer, metrics: dict[str, float]) -> None:
        """Write the epoch's point. This is before its checkpoint: an epoch that can be resumed after is in the file."""
        seconds, steps = time.perf_counter() - self._epoch_began, getattr(trainer, "num_batches", None)
        is_resumed, running, self._running = self.is_resumed, self._running, {}
        if steps and not is_resumed:
            self.durations.append((seconds, steps))
        if metrics:
            means = {name: finite(mean) for name, mean in metrics.items()}
            self.points().append({"epoch": running["epoch"], **means, "lr": running["lr"]})
            write_text_atomically(self.path, json.dumps(self.points()) + "\n", durable=True)
            self.tracker.epoch_ends(self.points())

    def points(self) -> list[dict]:
        """Per epoch {"epoch" (from 1), "lr" (at its begin), and the means of what the trainer reports}."""
        if self._points is None:
            self._points = [p for p in _read(self._earlier) if p["epoch"] <= self.trainer.start_epoch]
        return self._points

    @property
    def rate(self) -> float | None:
        """Learning rate at the begin of the running epoch; None without an optimizer, or between epochs."""
        return self._running.get("lr")

    @property
    def is_resumed(self) -> bool:
        """True if the running epoch has been resumed in its middle."""
        return bool(self._resumed) and self._resumed.get("epoch") == self._running.get("epoch")

    def state_dict(self) -> dict:
        return dict(self._running)

    def load_state_dict(self, state: dict) -> None:
        if not isinstance(state, dict) or (state and not _is_point(state)):
            raise ValueError(f"the log of epochs continues from {shown(state)}")
        self._resumed = state


def _rate(trainer) -> float | None:
    try:
        return finite(trainer.get_current_lr())
    except (AttributeError, IndexError, KeyError, TypeError):  # a model without an optimizer
        return None


def _is_point(point: object) -> bool:
    """True if a value from a file has an epoch and a rate, and numbers or nulls by name."""
    if not isinstance(point, dict) or not {"epoch", "lr"} <= set(point) or type(point["epoch"]) is not int:
        return False
    return all(value is None or type(value) in (int, float) for value in point.values())


def _read(path: Path) -> list[dict]:
    try:
        points = read_json(path)
    except (OSError, ValueError):
        return []
    return [point for point in points if _is_point(point)] if isinstance(points, list) else []
