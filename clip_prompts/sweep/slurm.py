"""Jobs of a Slurm cluster, submitted as arrays by submitit. Its files are in ``.slurm`` in the sweep's folder."""

import os
import sys
from pathlib import Path

from clip_prompts.common.errors import UserError

from . import remote
from .remote import LOST, RemoteLauncher, from_environment, run_worker

MINUTES = 240  # of a job, before Slurm ends and requeues it


class SlurmLauncher(RemoteLauncher):
    """64 jobs at a time by default, each with 4 cores and a GPU; SWEEP_CPUS and SWEEP_GPUS say otherwise.

    sbatch reads its own variables: SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_QOS, SBATCH_TIMELIMIT (default 4 hours) and
    so on. A job that meets its time limit, or is preempted, is requeued and continues from its newest checkpoint.
    SUBMITIT_CLUSTER=local runs the same without Slurm, on this machine.
    """

    def __init__(self, output: Path, workers: int = 0) -> None:
        super().__init__(output, workers or 64)
        try:
            import cloudpickle
            import submitit
        except ImportError as error:
            raise UserError("--launcher slurm needs submitit: pip install submitit") from error
        cpus, gpus = from_environment("SWEEP_CPUS"), from_environment("SWEEP_GPUS")
        self.cpus = max(1, int(4 if cpus is None else cpus))
        if gpus is not None and gpus != int(gpus):
            raise UserError(f"SWEEP_GPUS={gpus:g}: Slurm gives whole GPUs; use 0, 1 or more")
        self._submitit = submitit
        cluster = os.environ.get("SUBMITIT_CLUSTER") or "slurm"
        try:
            self._executor = submitit.AutoExecutor(folder=self.output / ".slurm", cluster=cluster)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"--launcher slurm cannot work here: {error} Start it on a machine that has sbatch, or use --launcher "
                "local or ray"
            ) from error
        self._executor.update_parameters(
            name="sweep",
            timeout_min=MINUTES,
            cpus_per_task=self.cpus,
            gpus_per_node=int(1 if gpus is None else gpus),
            stderr_to_stdout=True,
            slurm_array_parallelism=self.workers,
        )
        for module in (remote, sys.modules[__name__]):
            cloudpickle.register_pickle_by_value(module)

    def _submit(self, calls: list[tuple]) -> list:
        try:
            return self._executor.map_array(_Task(), *zip(*calls, strict=True))
        except (self._submitit.core.utils.FailedJobError, self._submitit.core.utils.FailedSubmissionError) as error:
            lines = str(error).strip().splitlines()
            raise UserError(f"sbatch refused the jobs: {lines[-1] if lines else error}") from error

    def _is_over(self, handle) -> bool:
        return handle.paths.result_pickle.exists() or handle.done()

    def _outcome(self, handle) -> tuple[int, str]:
        errors = self._submitit.core.utils
        try:
            return handle.result()
        except errors.FailedJobError as error:
            return 1, str(error).strip().splitlines()[-1]
        except errors.UncompletedJobError:
            return LOST, ""

    def _cancel(self, handles: list) -> None:
        for handle in handles:
            handle.cancel(check=False)


class _Task:
    """``run_worker``, which submitit may requeue."""

    def __call__(self, *call) -> tuple[int, str]:
        return run_worker(*call)

    def checkpoint(self, *call):
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *call)
