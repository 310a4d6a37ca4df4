"""Lines about a running sweep: drawn again and again on a terminal, one per ended run elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clip_prompts.run.console import Line, columns, is_terminal

from .job import Job

PAUSE = 0.25  # seconds between two drawings
MOST = 16  # lines for running jobs


class Progress:
    """Prints a plain line for each run that ends."""

    def job_ended(self, line: str) -> None:
        """A run has ended, as the line says."""
        print(line, file=sys.stderr, flush=True)

    def draw(self, whole: Callable[[], str], jobs: Callable[[], list[tuple[Job, str]]]) -> None:
        """Draw the line for the whole, and one for each running job with its state, if it is time to."""


class Drawn(Progress):
    """A line for the whole and one per running job, which keeps its place. Only failures leave a line of their own."""

    def __init__(self, workers: int) -> None:
        self.terminal = sys.stderr
        self.whole = Line(self.terminal)
        self.jobs = [Line(self.terminal, place) for place in range(1, 1 + min(workers, MOST))]
        self.places: list[str] = [""] * len(self.jobs)  # folders of the jobs that have the lines
        self.drawn = 0.0

    def job_ended(self, line: str) -> None:
        if line.endswith(": failed"):  # without those that waited for it
            self.whole.print_above(line)

    def draw(self, whole: Callable[[], str], jobs: Callable[[], list[tuple[Job, str]]]) -> None:
        if time.monotonic() - self.drawn < PAUSE:
            return
        self.drawn = time.monotonic()
        running = {job.folder: (job.name, state) for job, state in jobs()}
        self.places = [folder if folder in running else "" for folder in self.places]
        for folder in running:
            if folder not in self.places and "" in self.places:
                self.places[self.places.index("")] = folder
        self.whole.draw(whole())
        width = columns(self.terminal) - 1
        for line, folder in zip(self.jobs, self.places, strict=True):
            name, state = running.get(folder, ("", ""))
            room = width - 2 - 2 - len(state)
            line.draw(f"  {_cut(name, room):{min(room, 50)}}  {state}" if name else "")

    def stop(self, last: str) -> None:
        for line in reversed(self.jobs):
            line.remove()
        self.whole.end(last)


@contextmanager
def progress(workers: int, whole: Callable[[], str]) -> Iterator[Progress]:
    """Give what prints the progress of a sweep on stderr. ``whole``: returns the line for all of it."""
    if not is_terminal(sys.stderr):
        yield Progress()
        return
    drawn = Drawn(workers)
    drawn.whole.draw(whole())
    try:
        yield drawn
    finally:
        drawn.stop(whole())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."
