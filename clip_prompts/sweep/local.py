"""Jobs on this machine: one server process imports the training program once, and every job is a fork of it."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from clip_prompts.common.errors import UserError

from .job import Job
from .launcher import Launcher
from .worker import run_job

HEARD = 3.0  # seconds in which a run that heard the signal itself is expected to end
SAVING = 10.0  # seconds that a run has to save itself after the sweep told it to end


class LocalLauncher(Launcher):
    """``workers`` processes at a time; by default one for each GPU, or two on the CPU.

    Each gets a GPU of its own in turn (CUDA_VISIBLE_DEVICES); without GPUs each gets its part of the cores
    (OMP_NUM_THREADS, unless it is set). The server starts to import at once, which takes seconds: make this first and
    do other things meanwhile.
    """

    def __init__(self, output: Path, workers: int = 0) -> None:
        self.output = str(output)
        self.gpus = gpus()
        cores = os.cpu_count() or 1
        self.workers = workers or len(self.gpus) or min(2, cores)
        self._running: dict[str, tuple[Job, BaseProcess, str]] = {}
        os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # looking for a GPU must not spoil the forks for it
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // self.workers)))
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads take no turns from those that work
        self._context = multiprocessing.get_context("forkserver")
        modules = ["clip_prompts.run.libraries", "clip_prompts.sweep.worker"]
        self._hears_ctrl_c = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        self._context.set_forkserver_preload(["clip_prompts.sweep.quiet", *modules] if self._hears_ctrl_c else modules)
        self._is_ready = False
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # in the server, until it has imported `quiet`
        try:
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, before)

    def start(self, jobs: list[Job]) -> None:
        for job in jobs:
            used = [gpu for _, _, gpu in self._running.values()]
            gpu = min(self.gpus, key=used.count, default="")  # the one that the fewest jobs use
            environment = {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}
            arguments = (job, self.output, environment, self._hears_ctrl_c)
            process = self._context.Process(target=_fork, args=arguments)
            try:
                if not self._is_ready:  # wait until the server has imported everything and starts processes at once
                    first = self._context.Process()
                    first.start()
                    first.join()
                    self._is_ready = True
                # A signal in between would leave a process that `stop` does not know of.
                before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGALRM))
                try:
                    process.start()
                    self._running[job.folder] = (job, process, gpu)
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
            except (EOFError, OSError) as error:
                raise UserError("The training program cannot be imported. Run `python train.py` to see why") from error

    def ended(self) -> list[tuple[Job, int]]:
        gone = []
        for job, process, _ in list(self._running.values()):
            if (status := process.exitcode) is not None:
                process.join()
                del self._running[job.folder]
                gone.append((job, status))
        return gone

    def wait(self, seconds: float) -> None:
        running = [process.sentinel for _, process, _ in self._running.values()]
        if running:
            connection.wait(running, seconds)
        else:
            super().wait(seconds)

    def stop(self) -> None:
        processes = [process for _, process, _ in self._running.values()]
        try:
            _join(processes, HEARD)  # a Ctrl-C has reached the runs too, and they are saving themselves
            for process in processes:
                process.terminate()  # a signal to the sweep alone has not
            _join(processes, SAVING)
        except KeyboardInterrupt:  # a second Ctrl-C waits for nothing
            pass
        for process in processes:
            process.kill()
            process.join()
        self._running.clear()


def _join(processes: list[BaseProcess], seconds: float) -> None:
    """Wait until all processes have ended, at most so long."""
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))


def _fork(job: Job, output: str, environment: dict[str, str], hears_ctrl_c: bool) -> None:
    try:
        if hears_ctrl_c:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = run_job(job, output, environment)
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)


def gpus() -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them; asks the driver's program, not PyTorch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in found.splitlines() if line.strip().isdigit()]
