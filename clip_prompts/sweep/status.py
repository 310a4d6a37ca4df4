"""The state of a sweep as a table."""

import time
from collections import Counter
from pathlib import Path

from . import evidence, failures, plan
from .durations import Durations
from .job import Job
from .state import STATES, State, is_swept, state_of

CHANGED = "changed"  # done, but something that the run has read has changed since: it is checked when the sweep starts


def states_of(jobs: list[Job], output: Path) -> dict[str, State]:
    """Folder -> state of every job."""
    return {job.folder: state_of(job.path(output), job.key) for job in jobs}


def listing(jobs: list[Job], output: Path) -> str:
    """Returns a line per job with its state, for --dry-run. A finished job is "changed" if its sources have changed."""
    from tabulate import tabulate

    states = states_of(jobs, output)
    for job in jobs:
        if states[job.folder].name == "done" and not evidence.holds(job, output):
            states[job.folder] = State(CHANGED)
    rows = [[states[j.folder].name, "test" if j.evaluates else "train", j.name, j.folder] for j in jobs]
    return tabulate(rows, headers=["state", "", "job", "folder"], tablefmt="plain") + "\n" + counts(states)


def counts(states: dict[str, State]) -> str:
    """One line: "12 jobs: 3 done, 2 running, 7 waiting"."""
    by_name = Counter(state.name for state in states.values())
    parts = [f"{by_name[name]} {name}" for name in (*STATES, CHANGED) if by_name[name]]
    return f"{len(states)} job{'s' * (len(states) != 1)}: {', '.join(parts)}"


def table(jobs: list[Job], output: Path) -> str:
    """Counts by protocol and trainer, then the runs that are under way, interrupted or failed, and what comes next."""
    from tabulate import tabulate

    states = states_of(jobs, output)
    groups: dict[tuple, Counter] = {}
    for job in jobs:
        groups.setdefault((job.protocol, job.trainer, job.config), Counter())[states[job.folder].name] += 1
    rows = [[*group, *(count[name] or "" for name in STATES)] for group, count in groups.items()]
    used = [i for i, name in enumerate(STATES, 3) if name == "done" or any(row[i] for row in rows)]
    rows = [[*row[:3], *(row[i] for i in used)] for row in rows]
    heads = ["protocol", "trainer", "config", *(STATES[i - 3] for i in used)]
    lines = [tabulate(rows, headers=heads, tablefmt="simple")]
    rows = [
        [state.name, job.name, state.epoch or state.line]
        for job in jobs
        if (state := states[job.folder]).name in ("running", "interrupted")
    ]
    if rows:
        lines += ["", tabulate(rows, tablefmt="plain", maxcolwidths=[11, 45, 40])]
    failed: list[Job] = []  # and those that wait for them
    for job in jobs:
        if states[job.folder].name == "failed" or job.after in {other.folder for other in failed}:
            failed.append(job)
    for cause, stopped in failures.causes(failed, output).items():
        lines += ["", f"failed: {cause}", *failures.names(stopped, output)]
    return "\n".join([*lines, "", line(jobs, states, output)])


def line(jobs: list[Job], states: dict[str, State], output: Path) -> str:
    """The counts, and the time that is left, or the way to continue if no sweep is running."""
    names = {state.name for state in states.values()}
    if names <= {"done"}:
        return counts(states)
    if is_swept(output) or "running" in names:
        return counts(states) + time_left(jobs, states)
    return f"{counts(states)}; nothing is running; the same command continues"


def time_left(jobs: list[Job], states: dict[str, State]) -> str:
    """ "; about 12 min left with 2 at a time"; "" if it is not known yet, see ``Durations``, or if all is done."""
    durations = Durations()
    for job in jobs:
        if (seconds := states[job.folder].seconds) is not None:
            durations.add(job, seconds)
    missing = [job for job in jobs if states[job.folder].name in ("running", "waiting", "interrupted")]
    at_once = max(1, sum(state.name == "running" for state in states.values()))
    left = durations.left(missing, [], at_once)
    return f"; {left} with {at_once} at a time" if left else ""


def watch(output: Path) -> None:
    """Print the table every two seconds until nothing is left to run, or Ctrl-C."""
    while True:
        shown = table(jobs := plan.read(output), output)
        now = time.strftime("%H:%M:%S")
        print(f"\033[2J\033[H{shown}\n\n{now}  (Ctrl-C ends the watching, not the sweep)", flush=True)
        if all(state.name in ("done", "failed") for state in states_of(jobs, output).values()):
            return
        time.sleep(2.0)
