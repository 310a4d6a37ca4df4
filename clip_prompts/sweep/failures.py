"""The causes of failed runs: each cause once, with the runs that it stopped."""

import re
from pathlib import Path

from .job import Job
from .state import CONSOLE, state_of


def causes(failed: list[Job], output: Path) -> dict[str, list[Job]]:
    """Cause -> the runs that it stopped: those that failed, and those that waited for them.

    Causes that differ only in the run's folder or its seed are the same cause.
    """
    by_folder = {job.folder: job for job in failed}
    found: dict[str, tuple[str, list[Job]]] = {}
    for job in failed:
        first = job
        while first.after in by_folder:
            first = by_folder[first.after]
        line = state_of(first.path(output), first.key).line.removeprefix("Error: ").rstrip(". ")
        line = line or "no reason was recorded"
        general = line
        for folder in filter(None, (first.folder, first.after)):
            general = general.replace(folder, "FOLDER")
        general = re.sub(rf"\bseed[ =_-]?{first.seed}\b", "seed N", general)
        found.setdefault(general, (line, []))[1].append(job)
    return dict(found.values())


def summary(failed: list[Job], jobs: list[Job], output: Path) -> str:
    """The last lines of a sweep with failures. The very last one says what to do."""
    place = {job.folder: i for i, job in enumerate(jobs)}
    found = causes(sorted(failed, key=lambda job: place[job.folder]), output)
    count = f"Error: {len(failed)} of {len(jobs)} runs failed"
    if len(found) == 1:
        ((cause, stopped),) = found.items()
        return "\n".join(
            ["Stopped:", *names(stopped, output), f"{count}: {cause}; the same command runs what is missing"]
        )
    lines = []
    for cause, stopped in found.items():
        lines += [f"{len(stopped)} run{'s' * (len(stopped) != 1)}: {cause}", *names(stopped, output)]
    return "\n".join([*lines, f"{count} for the {len(found)} causes above; the same command runs what is missing"])


def names(stopped: list[Job], output: Path) -> list[str]:
    """A line for all runs that differ only in their seed, with the file that holds what the first one printed."""
    folders = {job.folder for job in stopped}
    groups: dict[tuple[str, bool], list[Job]] = {}
    for job in stopped:
        groups.setdefault((job.name.partition(", seed ")[0], job.after in folders), []).append(job)
    lines = []
    for (name, waited), group in groups.items():
        seeds = [str(job.seed) for job in group if job.seed is not None]
        shown = f", seed{'s' * (len(seeds) > 1)} {' '.join(seeds)}" if seeds else ""
        why = "not run, because the run it loads failed" if waited else group[0].path(output) / CONSOLE
        lines.append(f"  {name}{shown} ({why})")
    return lines
