"""Trackers: settings, curve and results of a run, sent to another program next to the records (``TRACKER``).

``tensorboard`` is the engine's own writer. Each class here is another service, with the same three methods. Their
packages are extras: they are imported when a run asks for them.
"""

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from yacs.config import CfgNode

from clip_prompts.common.errors import UserError
from clip_prompts.common.random_states import unchanged_random_states
from clip_prompts.common.text import one_line

from .identity import Identity, plain

PROJECT = "clip-prompts"
_LONGEST = 500  # characters of a value, for MLflow
_AT_ONCE = 100  # parameters of one call, for MLflow


class WandB:
    """Weights & Biases. Its files are in the run's output folder; WANDB_PROJECT names another project."""

    PACKAGE, FUNCTIONS = "wandb", ("init",)

    def __init__(self, package: Any) -> None:
        self.package = package

    def begin(self, name: str, folder: str, facts: dict[str, object]) -> None:
        project = os.environ.get("WANDB_PROJECT") or PROJECT
        self.run = self.package.init(project=project, name=name, config=facts, dir=folder)

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.run.log(metrics, step=step)

    def end(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


class Trackio:
    """Trackio: a local project, shown by ``trackio show``. TRACKIO_PROJECT names another one."""

    PACKAGE, FUNCTIONS = "trackio", ("init", "log", "finish")

    def __init__(self, package: Any) -> None:
        self.package = package

    def begin(self, name: str, folder: str, facts: dict[str, object]) -> None:
        self.package.init(project=os.environ.get("TRACKIO_PROJECT") or PROJECT, name=name, config=facts)

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.package.log(metrics, step=step)

    def end(self, failed: bool) -> None:
        self.package.finish()


class MLflow:
    """MLflow. MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say where to."""

    PACKAGE, FUNCTIONS = "mlflow", ("start_run", "log_params", "log_metrics", "end_run")

    def __init__(self, package: Any) -> None:
        self.package = package

    def begin(self, name: str, folder: str, facts: dict[str, object]) -> None:
        self.package.start_run(run_name=name)
        pairs = [(key, str(value)[:_LONGEST]) for key, value in facts.items()]
        for start in range(0, len(pairs), _AT_ONCE):
            self.package.log_params(dict(pairs[start : start + _AT_ONCE]))

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.package.log_metrics(metrics, step=step)

    def end(self, failed: bool) -> None:
        self.package.end_run("FAILED" if failed else "FINISHED")


SERVICES: dict[str, Any] = {"wandb": WandB, "trackio": Trackio, "mlflow": MLflow}


class Tracker:
    """Tells a service of a run: its beginning, each epoch, each evaluation. Without a service it does nothing.

    A service that fails costs a printed line, not the run, and what it draws does not move the run's random streams.
    """

    def __init__(self, service: Any = None) -> None:
        self.service, self._is_broken = service, service is None
        self._epoch = 0  # the last one that was sent; a step must not be smaller than the one before

    @contextmanager
    def following(self, cfg: CfgNode, identity: Identity) -> Iterator[None]:
        """Inside, a run takes place. The service gets all settings, and what else determines the result."""
        rest = {key: value for key, value in identity.determines.items() if not key.startswith("settings.")}
        folder = os.path.normpath(cfg.OUTPUT_DIR)
        if not self._is_broken:
            facts = {**plain(cfg), **rest, "identity": identity.sha256}
            self._tell("begin", folder[-128:], folder, facts)
        try:
            yield
        except BaseException:
            self._end(failed=True)
            raise
        self._end(failed=False)

    def epoch_ends(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Send the points of a curve that are new; of a resumed run these are all.

        Args:
            points: as ``EpochLog.points`` gives them.
        """
        for point in points:
            if point["epoch"] > self._epoch:
                self._epoch = point["epoch"]
                self._log("train", {name: value for name, value in point.items() if name != "epoch"})

    def test_ends(self, split: str, metrics: Mapping[str, float | None]) -> None:
        """Send the metrics of an evaluation."""
        self._log(split, metrics)

    def _log(self, group: str, values: Mapping[str, float | None]) -> None:
        numbers = {f"{group}/{name}": value for name, value in values.items() if value is not None}
        self._tell("log", numbers, self._epoch)

    def _tell(self, method: str, *args: object) -> None:
        if self._is_broken:
            return
        try:
            with unchanged_random_states():
                getattr(self.service, method)(*args)
        except Exception as error:  # any line of the package may raise
            self._is_broken = True
            name, reason = type(self.service).PACKAGE, one_line(f"{type(error).__name__}: {error}", 300)
            print(f"Warning: {name} failed, and the run goes on without it ({reason}). The records are not affected")
            with suppress(Exception):
                self.service.end(True)

    def _end(self, failed: bool) -> None:
        self._tell("end", failed)
        self._is_broken = True


def open_tracker(name: str) -> Tracker:
    """Returns the tracker of a value of ``TRACKER``. Raises UserError: its package is not installed."""
    if name not in SERVICES:
        return Tracker()
    service = SERVICES[name]
    try:
        package = importlib.import_module(service.PACKAGE)
        for function in service.FUNCTIONS:  # an empty folder of this name can be imported too
            getattr(package, function)
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise UserError(
            f"TRACKER {name} needs a package that cannot be imported ({reason}). Run pip install {service.PACKAGE}, "
            "or set TRACKER tensorboard"
        ) from error
    return Tracker(service(package))
