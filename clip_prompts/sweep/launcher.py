"""The interface of a launcher, which runs the processes of a sweep."""

import time
from abc import ABC, abstractmethod
from pathlib import Path

from .job import Job


class Launcher(ABC):
    """Runs jobs in processes, some at a time. ``run_jobs`` decides which jobs and when; a launcher only runs them.

    A process does for one job what ``python -m clip_prompts.sweep.worker OUTPUT FOLDER`` does in the repository:
    it takes the folder's lock, runs, and leaves the marker. So a launcher need not look at folders, and another
    start of the sweep continues from the markers, no matter how its processes ended. OUTPUT must be the same path on
    every machine, on a file system with a flock that works between them. The launcher chooses the threads and GPUs
    of a process (OMP_NUM_THREADS, CUDA_VISIBLE_DEVICES).

    Args:
        output: the sweep's folder, absolute; ``sweep.json`` in it holds every job before the first is started.
        workers: jobs at a time; 0 lets the launcher choose.

    Attributes:
        workers: jobs at a time, as chosen. ``run_jobs`` keeps at most so many under way.
    """

    workers: int = 1

    @abstractmethod
    def __init__(self, output: Path, workers: int = 0) -> None:
        """Raises UserError where the launcher cannot work here (a package or cluster is missing)."""

    @abstractmethod
    def start(self, jobs: list[Job]) -> None:
        """Start jobs, at most as many as are free, and return without waiting. None depends on another of them."""

    @abstractmethod
    def ended(self) -> list[tuple[Job, int]]:
        """Jobs that ended since the last call, with the worker's exit status; returns at once.

        The status is ``worker.BUSY`` where another sweep holds the job. Of a process that was lost (killed, machine
        gone) it is negative; a launcher may start such a job again some times before it says so.
        """

    def wait(self, seconds: float) -> None:
        """Return when a job ends, if the launcher can tell, and after ``seconds`` at the latest."""
        time.sleep(seconds)

    @abstractmethod
    def stop(self) -> None:
        """End what is still under way. The jobs stay interrupted: their locks go, and they leave no marker."""
