"""Jobs on a Ray cluster: one Ray task for each, with CPUs and GPUs as Ray's resources."""

import logging
import os
import signal
import threading
from pathlib import Path

from clip_prompts.common.errors import UserError

from . import remote
from .remote import LOST, RemoteLauncher, from_environment, run_worker

# What Ray itself prints of a lost worker or machine, a screenful with addresses; `ended` says it in a line.
_LOSSES = r"A worker died or was killed|Raylet is terminated|has been marked dead"


class RayLauncher(RemoteLauncher):
    """On the cluster of RAY_ADDRESS, or one that ``ray start`` started on this machine, or a new one for this sweep.

    By default as many jobs at a time as there are GPUs, or two for each machine without; a job has one GPU where the
    cluster has any, and as many cores as let all of them run at once. SWEEP_CPUS and SWEEP_GPUS in the environment say
    otherwise; parts of a GPU are allowed (0.5: two jobs share one).
    """

    def __init__(self, output: Path, workers: int = 0) -> None:
        super().__init__(output, workers)
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", _LOSSES)  # Ray reads it when it is imported
        try:
            import ray
        except ImportError as error:
            raise UserError("--launcher ray needs Ray: pip install ray") from error
        self._ray = ray
        cpus, gpus = from_environment("SWEEP_CPUS"), from_environment("SWEEP_GPUS")
        self._mine = not ray.is_initialized()
        if self._mine:
            _connect(ray)
        try:
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self.workers, self.cpus, self.gpus = share(machines, workers, cpus, gpus)
        except BaseException:
            self.stop()
            raise
        ray.cloudpickle.register_pickle_by_value(remote)
        # Retries are ours: Ray's have no end where memory runs out.
        self._task = ray.remote(max_retries=0, num_cpus=self.cpus, num_gpus=self.gpus)(run_worker)

    def _submit(self, calls: list[tuple]) -> list:
        return [self._task.remote(*call) for call in calls]

    def _is_over(self, handle) -> bool:
        return bool(self._ray.wait([handle], timeout=0)[0])

    def _outcome(self, handle) -> tuple[int, str]:
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:
            return 1, str(error).strip().splitlines()[-1]
        except self._ray.exceptions.RayError:  # worker, machine or memory gone
            return LOST, ""

    def _cancel(self, handles: list) -> None:
        for handle in handles:
            self._ray.cancel(handle, force=True)
        self._ray.wait(handles, num_returns=len(handles), timeout=5)

    def stop(self) -> None:
        super().stop()
        if self._mine:
            self._ray.shutdown()


def share(machines: list[dict], workers: int, cpus: float | None, gpus: float | None) -> tuple[int, float, float]:
    """Divide a cluster among jobs.

    Args:
        machines: of each the amounts of "CPU" and "GPU". workers: jobs at a time, or 0. cpus, gpus: of a job, or None.

    Returns:
        Jobs at a time, and cores and GPUs of each.

    Raises UserError: no machine is large enough for one job.
    """
    if gpus is None:
        gpus = 1.0 if any(machine.get("GPU") for machine in machines) else 0.0

    def places(cores: float, most: float = float("inf")) -> int:
        free = [
            (m.get("CPU", 0) / cores if cores else most, m.get("GPU", 0) / gpus if gpus else most) for m in machines
        ]
        return sum(int(min(*pair, most, 1e6)) for pair in free)

    wanted = workers or (places(cpus or 1) if gpus or cpus else places(1, most=2))
    if not wanted:
        raise UserError(
            f"No machine of the Ray cluster has {cpus or 1:g} cores and {gpus:g} GPUs for a job. Change SWEEP_CPUS or "
            "SWEEP_GPUS, or set the number of jobs at a time with --jobs, if machines will be added"
        )
    if cpus is None:
        largest = int(max((machine.get("CPU", 0) for machine in machines), default=1))
        cpus = next((cores for cores in range(largest, 1, -1) if places(cores) >= wanted), 1)
    return wanted, cpus, gpus


def _connect(ray) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of our own sends nothing anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns about what it will do
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        address = os.environ.get("RAY_ADDRESS")
        where = f"The Ray cluster at RAY_ADDRESS={address} cannot be joined" if address else "Ray cannot be started"
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{where}: {why}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's would end this process on the spot
