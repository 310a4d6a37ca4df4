"""Run many ``train.py`` command lines, a few at a time, without paying for the start of each.

One server process imports the training program once; every job is a fork of it (``multiprocessing``'s forkserver).
"""

import multiprocessing
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(eq=False)
class Job:
    """One call of ``train.py``.

    name: what the progress bar says. args: its command line. folder: its output folder.
    after: a job that must have succeeded before, or None.
    """

    name: str
    args: list[str]
    folder: Path
    after: "Job | None" = None
    status: int | None = field(default=None, init=False)  # exit status; None: not run yet

    @property
    def done(self) -> bool:
        """Whether the results of the job are on disk; they are the last thing that a run writes."""
        return (self.folder / "results.json").is_file()


def start_server(workers: int):
    """Start the process that jobs are forked from, and return its ``multiprocessing`` context.

    It imports the training program, which takes seconds: call this first and do other things meanwhile.
    """
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # looking for a GPU must not spoil the forks for it
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait must not take turns from those that work
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["train"])
    forkserver.ensure_running()
    return context


def run_jobs(jobs: list[Job], workers: int, report: Callable[[str], None] | None = None) -> list[Job]:
    """Run all jobs that are not done, ``workers`` at a time; a failed one does not stop the rest.

    What a run prints goes to ``console.txt`` in its folder.

    Returns:
        The jobs that failed, and those that waited for them.
    """
    context = start_server(workers)
    from tqdm import tqdm  # here, since every job imports this module

    report = report or tqdm.write
    waiting = deque(job for job in jobs if not job.done)
    skipped = len(jobs) - len(waiting)
    if skipped:
        report(f"{skipped} of {len(jobs)} runs are done already; their results are kept")
    failed: list[Job] = []
    running: dict[Job, multiprocessing.Process] = {}
    shown = 0.0
    pause = 0.2 if sys.stderr.isatty() else 15.0  # seconds between two looks of the bar; a log file wants few
    with tqdm(total=len(jobs), initial=skipped, unit="run", dynamic_ncols=True, mininterval=pause) as bar:
        while waiting or running:
            for job in [j for j in waiting if len(running) < workers and _ready(j, running)]:
                if len(running) == workers:
                    break
                waiting.remove(job)
                if job.after is not None and job.after in failed:
                    failed.append(job)
                    bar.update()
                    continue
                job.folder.mkdir(parents=True, exist_ok=True)
                running[job] = context.Process(target=_run, args=(job.args, job.folder / "console.txt"))
                running[job].start()
            bar.set_postfix_str(", ".join(f"{j.name} {_epoch(j)}".strip() for j in running), refresh=False)
            if time.monotonic() - shown > pause:
                bar.refresh()
                shown = time.monotonic()
            time.sleep(0.1)
            for job in [j for j, process in running.items() if not process.is_alive()]:
                job.status = running.pop(job).exitcode
                if job.status:
                    failed.append(job)
                    report(f"{job.name} failed: {_last_line(job)}")
                bar.update()
    return failed


def _ready(job: Job, running: dict) -> bool:
    return job.after is None or job.after.done or (job.after.status is not None and job.after not in running)


def _run(args: list[str], console: Path) -> None:
    """In the fork: point stdout and stderr at the console file and call the training program."""
    with open(console, "w", encoding="utf-8", buffering=1) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.stdout = sys.stderr = stream
        os.chdir(ROOT)
        import train

        try:
            status = train.main(args)
        except BaseException:
            traceback.print_exc()
            status = 1
        stream.flush()
        sys.exit(status)


def _lines(job: Job) -> list[str]:
    try:
        with open(job.folder / "console.txt", "rb") as file:
            file.seek(max(0, os.path.getsize(file.name) - 4096))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _epoch(job: Job) -> str:
    """How far a run is: "[3/10]" of its last "epoch [3/10] ..." line."""
    steps = [line.split()[1] for line in _lines(job) if line.startswith("epoch [") and len(line.split()) > 1]
    return steps[-1] if steps else ""


def _last_line(job: Job) -> str:
    lines = [line for line in _lines(job) if line.strip()]
    return f"{lines[-1] if lines else 'no output'} (all of it: {job.folder / 'console.txt'})"
