"""How the time of a training step divides."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

DATA, IMAGE, TEXT = "data", "image encoder", "text encoder"
_PART = "inside of part()"
_CUDA_SAMPLE = range(5, 25)  # steps; each is waited for, so only a few of them, after the first slow ones


class StepTimes:
    """Adds up what the parts of training steps take.

    A part is a module's forward pass, or what runs inside ``part``. On CUDA a few steps are sampled, because the
    clock must wait for the device; on a CPU all are.

    Args:
        device: where the step runs. image_encoder, text_encoder: the modules whose forward passes are parts.
    """

    def __init__(self, device: torch.device, image_encoder: nn.Module, text_encoder: nn.Module) -> None:
        self.device = device
        self.seconds: Counter[str] = Counter()
        self.steps = self.measured = 0
        self._mark: float | None = None  # the end of the last step
        self._ahead = 0.0  # what was computed for a step before it began
        self._within: str | None = None  # the running part; "" between parts; None while nothing is measured
        for name, module in ((IMAGE, image_encoder), (TEXT, text_encoder)):
            module.register_forward_pre_hook(self._enter(name))
            module.register_forward_hook(self._leave(name))

    def epoch_begins(self) -> None:
        """What follows is loading of data, not what happened since the last step (an evaluation, say)."""
        self._mark = self._now() if self._samples() else None

    @contextmanager
    def step(self) -> Iterator[None]:
        """One training step; the time since the last one's end counts as data."""
        measured = self._samples() and self._mark is not None
        start = self._now() if measured else 0.0
        self._within = "" if measured else None
        yield
        self._within = None
        self.steps += 1
        now = self._now() if measured or self._samples() else None
        if measured:
            self.seconds[DATA] += start - self._mark
            self.seconds["step"] += now - start + self._ahead
            self.seconds[IMAGE] += self._ahead
            self.measured += 1
        self._mark = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What runs inside counts for ``name``; forward passes inside (recomputation) are not counted twice."""
        if self._within != "":
            yield
            return
        self._within, start = _PART, self._now()
        yield
        self._within = ""
        self.seconds[name] += self._now() - start

    @contextmanager
    def ahead(self, steps: float) -> Iterator[None]:
        """Images of the next ``steps`` steps are encoded inside, before the first of them: this is no loading."""
        start = self._now()
        yield
        took = self._now() - start
        self._ahead = took / steps
        if self._mark is not None:
            self._mark += took

    def line(self) -> str:
        """One line for the log; empty when nothing was measured."""
        if not self.measured:
            return ""
        total = self.seconds[DATA] + self.seconds["step"]
        rest = self.seconds["step"] - self.seconds[IMAGE] - self.seconds[TEXT]
        shares = {DATA: self.seconds[DATA], IMAGE: self.seconds[IMAGE], TEXT: self.seconds[TEXT], "the rest": rest}
        parts = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in shares.items())
        return f"A training step took {1000 * total / self.measured:.1f} ms: {parts} (mean of {self.measured:,} steps)"

    def _samples(self) -> bool:
        return self.device.type != "cuda" or self.steps in _CUDA_SAMPLE

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _enter(self, name: str):
        def hook(module, args) -> None:
            if self._within == "":
                self._within, self._start = name, self._now()

        return hook

    def _leave(self, name: str):
        def hook(module, args, output) -> None:
            if self._within == name:
                self._within = ""
                self.seconds[name] += self._now() - self._start

        return hook
