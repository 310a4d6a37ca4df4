"""The loop of a sweep: missing jobs run on a launcher, each after the one it waits for, none twice."""

import math
import signal
import time
from pathlib import Path

from clip_prompts.run.console import duration

from . import evidence
from .durations import Durations
from .job import Job
from .launcher import Launcher
from .progress import progress
from .state import epoch, failed_since, is_done, is_locked, last_line, lock, mark_failed, state_of, was_stopped
from .worker import BUSY, set_aside

LOOK = 0.1  # seconds between two looks at the launcher
LOOK_ELSEWHERE = 1.0  # ... at jobs that another sweep runs


def run_jobs(jobs: list[Job], output: Path, launcher: Launcher, again: bool = False) -> list[Job]:
    """Run all jobs that are not done; a failed one does not stop the rest.

    Jobs that another sweep runs are waited for, and not run again when they fail there.

    Args:
        again: first move aside what earlier runs of these jobs left, so that none of them is done.

    Returns:
        The jobs that failed, and those that waited for them.
    """
    if again:
        moved = sum(_move_aside(job.path(output)) for job in jobs)
        print(f"The files of {moved} earlier runs are moved into hidden folders (.earlier-...) in their own")
    run = _Run(jobs, output, launcher)
    if run.ended:
        print(f"{run.ended} of {len(jobs)} runs are done already; their results are kept")
    if doubted := [job for job in run.waiting if is_done(job.path(output), job.key)]:
        print(f"{len(doubted)} finished runs are checked again, because something that they have read has changed")
    with progress(launcher.workers, run.line) as shown:
        while run.waiting or run.running:
            run.step()
            for line in run.news():
                shown.job_ended(line)
            shown.draw(run.line, run.states)
            launcher.wait(LOOK)
    return run.failed


def _move_aside(folder: Path) -> bool:
    """Move what a run left aside, unless another sweep is at it; False if nothing was moved."""
    if not folder.is_dir():
        return False
    with lock(folder) as held:
        return held and set_aside(folder)


class _Run:
    def __init__(self, jobs: list[Job], output: Path, launcher: Launcher) -> None:
        self.output, self.launcher = output, launcher
        self.total, self.since, self.began = len(jobs), time.time(), time.monotonic()
        self.planned = {job.folder for job in jobs}
        self.done: set[str] = set()
        for job in sorted(jobs, key=lambda job: bool(job.after)):  # an evaluation is done only if its training is
            if (job.after not in self.planned or job.after in self.done) and evidence.holds(job, output):
                self.done.add(job.folder)
        self.waiting = [job for job in jobs if job.folder not in self.done]
        self.took: dict[tuple, float] = {}  # kind -> seconds of the longest run so far
        self.durations = Durations()
        self.started: dict[str, float] = {}  # folder -> time of the start of a run
        self._news: list[str] = []
        for job in jobs:
            if job.folder in self.done:
                self._remember(job)
        self.running: dict[str, Job] = {}
        self.failed: list[Job] = []
        self.elsewhere: dict[str, float] = {}  # folder -> when to look again

    @property
    def ended(self) -> int:
        return len(self.done) + len(self.failed)

    def line(self) -> str:
        """Returns the state of the whole: "12 of 36 runs done, 1 failed, 3:10; about 5 min left"."""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        spent = duration(time.monotonic() - self.began)
        return f"{len(self.done)} of {self.total} runs done{failed}, {spent}{self._left()}"

    def _left(self) -> str:
        running = [(job, self._spent(job)) for job in self.running.values()]
        left = self.durations.left(self.waiting, running, self.launcher.workers)
        return f"; {left}" if left else ""

    def _spent(self, job: Job) -> float:
        """Seconds since a run was started."""
        return time.monotonic() - self.started[job.folder]

    def states(self) -> list[tuple[Job, str]]:
        """Returns the running jobs, and how far each is."""
        found = []
        for job in self.running.values():
            at = epoch(job.path(self.output)).strip("[]")
            spent = duration(self._spent(job))
            found.append((job, f"{'test' if job.evaluates else f'epoch {at}' if at else 'starts':12}{spent}"))
        return found

    def news(self) -> list[str]:
        """Returns a line for each run that has ended since the last call."""
        news, self._news = self._news, []
        return news

    def _tell(self, job: Job, how: str) -> None:
        self._news.append(f"[{self.ended}/{self.total}] {job.name}: {how}")

    def step(self) -> None:
        for job, status in self.launcher.ended():
            del self.running[job.folder]
            self._job_ended(job, status)
        gone = {job.folder for job in self.failed}
        for job in [j for j in self.waiting if j.after in gone]:
            self.waiting.remove(job)
            self.failed.append(job)
            self._tell(job, "not run, as its training failed")
        ready = []
        while len(self.running) < self.launcher.workers and (following := self._next()):
            self.waiting.remove(following)
            self.running[following.folder] = following
            self.started[following.folder] = time.monotonic()
            ready.append(following)
        if ready:
            self.launcher.start(ready)

    def _next(self) -> Job | None:
        """Returns the longest job that can run: short ones at the end fill gaps.

        Kinds of which no job has run come first; a kind of which the first job runs now comes last. Two workers do the
        demo's jobs in 222 s this way, and in 259 s in the order of the plan.
        """
        running = dict.fromkeys((job.kind for job in self.running.values()), 0.0)
        longest_first = sorted(self.waiting, key=lambda job: -self.took.get(job.kind, running.get(job.kind, math.inf)))
        return next((job for job in longest_first if self._is_ready(job)), None)

    def _job_ended(self, job: Job, status: int) -> None:
        folder = job.path(self.output)
        if is_done(folder, job.key):
            self.done.add(job.folder)
            self._remember(job)
            self._tell(job, f"done in {self._spent(job):.0f} s{self._left()}")
            return
        if status == BUSY:
            self.elsewhere[job.folder] = time.monotonic() + LOOK_ELSEWHERE
            self.waiting.insert(0, job)
            return
        if not failed_since(folder, job.key, self.since):  # the process was lost, and could not say so itself
            with lock(folder) as held:
                if held:
                    mark_failed(folder, job.key, status, f"{_end(status)}; the last line was: {last_line(folder)}")
        self._fail(job)

    def _remember(self, job: Job) -> None:
        seconds = state_of(job.path(self.output), job.key).seconds
        self.took[job.kind] = max(seconds or 0.0, self.took.get(job.kind, 0.0))
        if seconds is not None:
            self.durations.add(job, seconds)

    def _fail(self, job: Job) -> None:
        self.failed.append(job)  # its cause is for the end, where each is named once
        self._tell(job, "failed")

    def _is_ready(self, job: Job) -> bool:
        """True if a job can start now; also notices when another sweep has run it."""
        if job.after in self.planned and job.after not in self.done:
            return False
        if self.elsewhere.get(job.folder, 0.0) > time.monotonic():
            return False
        folder = job.path(self.output)
        if is_locked(folder):
            self.elsewhere[job.folder] = time.monotonic() + LOOK_ELSEWHERE
            return False
        if evidence.holds(job, self.output):
            self.waiting.remove(job)
            self.done.add(job.folder)
            self._remember(job)
            self._tell(job, "done by another sweep")
            return False
        if failed_since(folder, job.key, self.since):
            self.waiting.remove(job)
            self._fail(job)
            return False
        return True


def _end(status: int) -> str:
    """Describes how a process ended, from its exit status."""
    if not was_stopped(status):
        return f"exit status {status}"
    number = abs(status) % 128
    name = next((known.name for known in signal.Signals if known == number), f"signal {number}")
    return f"killed by {name} (out of memory?)" if name == "SIGKILL" else f"stopped by {name}"
