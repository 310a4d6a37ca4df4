"""Observers on loops that do not call them: those of upstream's Dassl, and a trainer's own ``test()``.

The loops of our engine call ``trainer.observers``. Upstream's Dassl has no such list, and the ``test()`` that some
trainers bring along calls nothing but ``parse_batch_test`` and the evaluator, as Dassl's does. Records must be complete
on all of them, so ``build_trainer`` builds such a trainer from a subclass that calls the observers itself.
"""

from typing import Any

from dassl.engine import TRAINER_REGISTRY
from dassl.engine import build_trainer as build_as_is
from yacs.config import CfgNode

try:
    from dassl.engine.observers import Observer
    from dassl.engine.own_loop import with_recorded_steps
except ImportError:  # upstream's Dassl
    Observer = object

    def with_recorded_steps(cls: type) -> type:
        return cls


_ENGINE_CALLS = Observer is not object
_KNOWN = ("dassl.", "clip_prompts.")  # packages whose ``test`` calls the engine's loop


class ObservedTest:
    """Comes before a trainer class. Calls ``test_observers`` around ``test``, and at each call of the evaluator."""

    test_observers: tuple = ()
    evaluator: Any
    _batch: Any = None  # the last one that was parsed

    def parse_batch_test(self, batch):
        self._batch = batch
        return super().parse_batch_test(batch)

    def test(self, split=None):
        for observer in self.test_observers:
            observer.test_begins(self, split)
        result = super().test(split)
        is_val = (split or self.cfg.TEST.SPLIT) == "val" and self.val_loader is not None
        results = getattr(self.evaluator, "results", {})
        for observer in self.test_observers:
            observer.test_ends(self, "val" if is_val else "test", results)
        return result


class ObservedRun:
    """Comes before a trainer class. Calls ``run_observers`` during training."""

    run_observers: tuple = ()
    _sums: dict[str, tuple[float, int]]  # of the running epoch: name -> sum, count

    def train(self, *args, **kwargs):
        for observer in self.run_observers:
            observer.run_begins(self)
        return super().train(*args, **kwargs)

    def run_epoch(self):
        self._sums = {}
        for observer in self.run_observers:
            observer.epoch_begins(self)
        super().run_epoch()
        means = {name: total / count for name, (total, count) in self._sums.items()}
        for observer in self.run_observers:
            observer.epoch_ends(self, means)

    def forward_backward(self, *batches):
        metrics = super().forward_backward(*batches)
        if isinstance(metrics, dict):
            for name, value in metrics.items():
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = total + float(value), count + 1
        return metrics


class HeardEvaluator:
    """Stands in for a trainer's evaluator, and calls its ``test_observers``.

    ``results``: what the evaluator returned last.
    """

    def __init__(self, trainer) -> None:
        self.trainer, self.evaluator = trainer, trainer.evaluator
        self.results: dict[str, float] = {}

    def __getattr__(self, name: str):
        if name == "evaluator":  # not set yet, as in a copy that is being made
            raise AttributeError(name)
        return getattr(self.evaluator, name)

    def reset(self):
        self.results = {}
        for observer in self.trainer.test_observers:
            observer.test_begins(self.trainer, observer.asked)
        return self.evaluator.reset()

    def process(self, mo, gt, *more, **named):
        batch, self.trainer._batch = self.trainer._batch, None
        for observer in self.trainer.test_observers:
            observer.batch_tested(self.trainer, batch, mo, gt)
        return self.evaluator.process(mo, gt, *more, **named)

    def evaluate(self):
        self.results = self.evaluator.evaluate()
        return self.results


def build_trainer(cfg: CfgNode):
    """Build the trainer of a config as Dassl does, from a subclass that calls observers if its loops do not."""
    name = cfg.TRAINER.NAME
    if name not in TRAINER_REGISTRY.registered_names():
        return build_as_is(cfg)  # says so
    cls = TRAINER_REGISTRY.get(name)
    added = _added_to(cls)
    if not added:
        return build_as_is(cfg)
    if cfg.VERBOSE:
        print(f"Loading trainer: {name}")
    described = {key: getattr(cls, key) for key in ("__module__", "__qualname__", "__doc__")}
    return type(cls.__name__, (*added, with_recorded_steps(cls)), described)(cfg)


def observe(trainer, run_observers: list, test_observers: list) -> None:
    """Let observers follow the training and the tests of a trainer that ``build_trainer`` has built."""
    if isinstance(trainer, ObservedRun):
        trainer.run_observers = (*trainer.run_observers, *run_observers)
    else:
        trainer.observers += run_observers
    if isinstance(trainer, ObservedTest):
        trainer.test_observers = (*trainer.test_observers, *test_observers)
        if not isinstance(trainer.evaluator, HeardEvaluator):
            trainer.evaluator = HeardEvaluator(trainer)
    else:
        trainer.observers += test_observers


def _added_to(cls: type[Any]) -> tuple[type, ...]:
    if not _ENGINE_CALLS:
        return ObservedTest, ObservedRun
    return () if cls.test.__module__.startswith(_KNOWN) else (ObservedTest,)
