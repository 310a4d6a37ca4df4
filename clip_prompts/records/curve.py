"""``curve.json``: what a trainer reports of its epochs, kept so that a resumed run has all of them."""

import json
from pathlib import Path

from clip_prompts.common.files import read_json, write_text_atomically
from clip_prompts.common.text import shown

from .metrics import finite

FILE = "curve.json"


class Curve:
    """Listens to a trainer's ``forward_backward`` and ``after_epoch``.

    Args:
        trainer: any trainer of Dassl, built. folder: its output folder. resume: the folder it may continue from.
    """

    def __init__(self, trainer, folder: str, resume: str = "") -> None:
        self.trainer, self.path = trainer, Path(folder) / FILE
        self._earlier = Path(resume) / FILE if resume else self.path
        self._points: list[dict] | None = None
        self._running: tuple[int, float | None, dict] | None = None  # epoch, rate, name -> [sum, count]
        self._resumed: dict = {}  # epoch and rate of a running epoch that began before the run was resumed
        trainer.curve = self
        trainer.STATE = (*getattr(trainer, "STATE", ()), "curve")  # our engine saves it with the run
        step, after_epoch = trainer.forward_backward, trainer.after_epoch

        def listening_step(*batches):
            numbers = self._epoch()
            found = step(*batches)
            if isinstance(found, dict):
                for name, value in found.items():
                    pair = numbers.setdefault(name, [0.0, 0])
                    pair[0] += float(value)
                    pair[1] += 1
            return found

        def listening_after_epoch():
            self._close_epoch()  # before the checkpoint: an epoch that can be resumed after is in the file
            return after_epoch()

        trainer.forward_backward, trainer.after_epoch = listening_step, listening_after_epoch

    def points(self) -> list[dict]:
        """Per epoch {"epoch" (from 1), "lr" (of its first step), and the means of what the trainer reports}."""
        if self._points is None:
            self._points = [p for p in _read(self._earlier) if p["epoch"] <= self.trainer.start_epoch]
        return self._points

    def _epoch(self) -> dict:
        epoch = self.trainer.epoch + 1
        if self._running is None or self._running[0] != epoch:
            rate = self._resumed["lr"] if self._resumed.get("epoch") == epoch else self._rate()
            self._running = (epoch, rate, {})
        return self._running[2]

    def state_dict(self) -> dict:
        return {"epoch": self._running[0], "lr": self._running[1]} if self._running else {}

    def load_state_dict(self, state: dict) -> None:
        if not isinstance(state, dict) or (state and not _is_point(state)):
            raise ValueError(f"the curve goes on from {shown(state)}")
        self._resumed = state

    def _rate(self) -> float | None:
        try:
            return finite(self.trainer.get_current_lr())
        except (AttributeError, IndexError, KeyError, TypeError):  # a model without an optimizer
            return None

    def _close_epoch(self) -> None:
        if self._running is None or not self._running[2]:
            return
        epoch, rate, numbers = self._running
        means = {name: finite(total / count) for name, (total, count) in numbers.items()}
        self.points().append({"epoch": epoch, **means, "lr": rate})
        self._running = None
        write_text_atomically(self.path, json.dumps(self.points()) + "\n", durable=True)


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
