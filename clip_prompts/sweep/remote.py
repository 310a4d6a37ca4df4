"""Jobs on other machines: how a worker is started there, and started again when it is lost.

``python -m clip_prompts.sweep.remote OUTPUT FOLDER`` is the worker on a leash: it, with all that it started, ends at
once when its standard input is closed, which happens however the process at the other end of that pipe ends. So a lost
Ray worker or Slurm job leaves no training run behind that holds the folder's lock.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import abstractmethod
from collections import Counter
from pathlib import Path

from clip_prompts.common.errors import UserError

from .job import ROOT, Job
from .launcher import Launcher
from .state import failed_since, is_locked, lock, mark_failed

RETRIES = 3  # of a job that loses its process
LOST = -int(signal.SIGKILL)
_PATIENCE = 10.0  # seconds that ``stop`` waits for locks to go


class RemoteLauncher(Launcher):
    """Starts ``run_worker`` through a scheduler. A job that loses its process continues elsewhere, ``RETRIES`` times.

    The repository and Python must be at the same paths on every machine, as the sweep's folder must.
    """

    cpus: float = 1  # of a job

    def __init__(self, output: Path, workers: int = 0) -> None:
        self.output, self.workers = Path(output), workers
        self._since = time.time()
        self._under_way: dict[str, tuple[Job, object]] = {}
        self._losses: Counter[str] = Counter()

    @abstractmethod
    def _submit(self, calls: list[tuple]) -> list:
        """Start ``run_worker(*call)`` for each, somewhere; gives something to ask about each."""

    @abstractmethod
    def _is_over(self, handle) -> bool: ...

    @abstractmethod
    def _outcome(self, handle) -> tuple[int, str]:
        """Returns the result of ``run_worker`` for one that is over; status ``LOST`` if there is none."""

    @abstractmethod
    def _cancel(self, handles: list) -> None: ...

    def start(self, jobs: list[Job]) -> None:
        kept = {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ}
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, int(self.cpus)))
        environment = {**kept, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
        worker = [sys.executable, "-m", "clip_prompts.sweep.remote", str(self.output)]
        handles = self._submit([([*worker, job.folder], str(ROOT), environment) for job in jobs])
        self._under_way |= {job.folder: (job, handle) for job, handle in zip(jobs, handles, strict=True)}

    def ended(self) -> list[tuple[Job, int]]:
        from tqdm import tqdm

        over, again = [], []
        for job, handle in [pair for pair in self._under_way.values() if self._is_over(pair[1])]:
            del self._under_way[job.folder]
            status, line = self._outcome(handle)
            if status < 0 and self._losses[job.folder] < RETRIES:
                self._losses[job.folder] += 1
                tqdm.write(f"{job.name} lost its process; it is started again and continues from its newest checkpoint")
                again.append(job)
                continue
            if line and status:
                self._explain(job, status, line)
            over.append((job, status))
        if again:
            self.start(again)
        return over

    def stop(self) -> None:
        if self._under_way:
            self._cancel([handle for _, handle in self._under_way.values()])
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and any(is_locked(job.path(self.output)) for job, _ in self._under_way.values()):
            time.sleep(0.05)
        self._under_way.clear()

    def _explain(self, job: Job, status: int, line: str) -> None:
        """Keep what a worker said that never came as far as to write into the job's folder."""
        folder = job.path(self.output)
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder) as held:
            if held and not failed_since(folder, job.key, self._since):
                mark_failed(folder, job.key, status, line)


def run_worker(command: list[str], root: str, environment: dict[str, str]) -> tuple[int, str]:
    """Run the worker on a leash and wait for it; schedulers call this on their machines.

    Schedulers get this by value: nothing of the repository is imported, and only the standard library is used.

    Returns:
        Its exit status, negative where a signal ended it, and the last line that did not go to ``console.txt``.
    """
    try:
        process = subprocess.Popen(
            command, cwd=root, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return 127, f"{error}, on {socket.gethostname()}: the repository and Python must be at the same paths there"
    assert process.stdin and process.stdout  # pipes
    try:
        said = process.stdout.read()  # not communicate(), which closes stdin
        status = process.wait()
    except BaseException:  # cancelled
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        process.stdin.close()
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return status, lines[-1] if lines else ""


def from_environment(name: str) -> float | None:
    """A resource of every job (SWEEP_CPUS, SWEEP_GPUS); None where it is not set. Raises UserError."""
    text = os.environ.get(name, "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = -1.0
    if value is None or 0 <= value < float("inf"):
        return value
    raise UserError(f"{name}={text}: use a number, 0 or more")


def _end_with(leash: int) -> None:
    os.read(leash, 1)  # nothing is ever written: it returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


def main(argv: list[str]) -> int:
    leash = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_end_with, args=(leash,), daemon=True).start()
    from .worker import main as work

    return work(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
