"""Predicted times of jobs, from those of finished jobs."""

import statistics
from collections import defaultdict
from collections.abc import Iterable

from .job import Job

_ALIKE = (7, 6, 4, 3)  # parts of a job's kind: all, without settings, without shots and classes, without the dataset


class Durations:
    """Seconds that finished jobs took."""

    def __init__(self) -> None:
        self._of: dict[tuple, list[float]] = defaultdict(list)

    def add(self, job: Job, seconds: float) -> None:
        for parts in _ALIKE:
            self._of[job.kind[:parts]].append(seconds)

    def expected(self, job: Job) -> float | None:
        """Mean seconds of the finished jobs that are most like a job; None if none has its trainer and config."""
        found = (self._of[job.kind[:parts]] for parts in _ALIKE if job.kind[:parts] in self._of)
        return next(map(statistics.mean, found), None)

    def left(self, waiting: Iterable[Job], running: Iterable[tuple[Job, float]], at_once: int) -> str:
        """ "about 12 min left", or "" without a job like each of those that are missing, or if none is.

        Args:
            running: jobs, with the seconds that each has taken so far. at_once: number of jobs at a time.
        """
        missing = [(job, 0.0) for job in waiting] + list(running)
        expected = [(self.expected(job), spent) for job, spent in missing]
        if not missing or any(seconds is None for seconds, _ in expected):
            return ""
        total = sum(max(0.0, seconds - spent) for seconds, spent in expected if seconds is not None)
        return f"about {_rounded(total / max(1, at_once) / 60)} left"


def _rounded(minutes: float) -> str:
    """Rounds so that the text stays the same for a while."""
    if minutes < 1:
        return "a minute"
    if minutes < 20:
        return f"{minutes:.0f} min"
    return f"{5 * round(minutes / 5)} min" if minutes < 120 else f"{round(2 * minutes / 60) / 2:g} h"
