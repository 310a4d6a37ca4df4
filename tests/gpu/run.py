"""A case, and its result whatever happens in it."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from clip_prompts.common.text import one_line


@dataclass(frozen=True)
class Case:
    """One line of a table. ``call(seconds left)`` returns numbers by name, and raises if the case fails.

    ``leaves``: seconds that cases after it need.
    """

    part: str
    name: str
    call: Callable[[float], dict]
    leaves: float = 0.0


@dataclass(frozen=True)
class Result:
    """``status``: ok, FAILED or skipped, then with a ``reason``. ``seconds``: that the case took."""

    part: str
    name: str
    status: str
    seconds: float = 0.0
    reason: str = ""
    numbers: dict = field(default_factory=dict)

    def line(self) -> str:
        """One line for the terminal."""
        numbers = ", ".join(f"{key} {shown(value)}" for key, value in self.numbers.items())
        return f"{self.part:6}  {self.name:34}  {self.status:7}  {self.seconds:6.1f} s  {self.reason or numbers}"


def shown(value: object) -> str:
    """A number with three digits, and anything else as it is."""
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1e3
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def run(case: Case, ends: float) -> Result:
    """Run a case, unless it is past ``ends`` on the clock ``time.monotonic``."""
    started = time.monotonic()
    ends -= case.leaves
    if started > ends:
        return Result(case.part, case.name, "skipped", reason="no time was left")
    status, reason, numbers = "ok", "", {}
    try:
        numbers = case.call(ends - started)
    except Exception as error:  # such as out of memory: the other cases go on
        status, reason = "FAILED", one_line(f"{type(error).__name__}: {error}", 300)
    if torch.cuda.is_available():
        gc.collect()  # a failed case may have left references in a circle
        torch.cuda.empty_cache()
    return Result(case.part, case.name, status, time.monotonic() - started, reason, numbers)
