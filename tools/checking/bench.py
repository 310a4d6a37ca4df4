"""Trainers of one method on the embedded digits, built and run for the checks to look at."""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from dassl.engine import TRAINER_REGISTRY
from dassl.utils import set_random_seed
from torch import Tensor

from clip_prompts.clip import CLIPTrainer
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.method_facts import read_facts
from clip_prompts.run import arguments
from clip_prompts.run.checkout import checkout_root
from clip_prompts.run.checks import check_config
from clip_prompts.run.config import build_config

from .outcome import NotApplicable
from .random_draws import moved, random_states
from .watched import Watched, fixed_tensors, learned, quiet, values, with_gradient

EPOCHS, STEPS = 3, 20
# Settings of every run. Those of the command line come after them.
SETTINGS = {
    "USE_CUDA": "False", "DATASET.NUM_SHOTS": "4", "DATASET.SUBSAMPLE_CLASSES": "base",
    "DATALOADER.TRAIN_X.BATCH_SIZE": "4", "DATALOADER.TEST.BATCH_SIZE": "50", "DATALOADER.NUM_WORKERS": "0",
    "OPTIM.MAX_EPOCH": str(EPOCHS), "OPTIM.WARMUP_EPOCH": "-1", "TRAIN.CHECKPOINT_FREQ": "1", "FEATURES.CACHE": "False",
}  # fmt: skip


@dataclass
class Practice:
    """Steps on one batch.

    ``before``, ``after_one``: what is learned, at the start and after one step. ``gradients``: names of the learned
    tensors that had a gradient in any step. ``draws``: streams that steps moved. ``error``: which ended the steps.
    """

    trainer: Any
    batch: dict
    before: dict[str, Tensor]
    after_one: dict[str, Tensor] = field(default_factory=dict)
    gradients: set[str] = field(default_factory=set)
    draws: set[str] = field(default_factory=set)
    error: Exception | None = None


class Bench:
    """Builds and runs one method.

    Args:
        method: registered name. folder: for outputs and features; empty.
        pairs: KEY VALUE settings. config: config file; by default ``default_config`` of the method.

    Raises:
        UserError: no such method, no method of this toolbox, or a setting that does not fit.
    """

    def __init__(self, method: str, folder: Path, pairs: Sequence[str] = (), config: str | Path | None = None) -> None:
        if method not in TRAINER_REGISTRY.registered_names():
            more = ". A file of your own: --plugin FILE.py"
            raise unknown("method", method, [n for n in TRAINER_REGISTRY.registered_names() if is_method(n)], more)
        if not is_method(method):
            raise UserError(f"'{method}' is not a method of this toolbox. Give the name of a subclass of CLIPTrainer")
        self.method, self.folder, self.pairs = method, folder, list(pairs)
        self.config = Path(config or default_config(method))
        self.cls = TRAINER_REGISTRY.get(method)
        self.facts = read_facts(method)
        self._count, self._failed = itertools.count(), set[str]()

    def build(self, seed: int = 1, **settings: object) -> Any:
        """A watched trainer. ``settings``: keys with ``__`` for dots."""
        root = checkout_root()
        given = [str(part) for key, value in settings.items() for part in (key.replace("__", "."), value)]
        args = arguments.parse([
            "--trainer", self.method, "--seed", str(seed), "--config-file", str(self.config),
            "--output-dir", str(self.folder / f"run{next(self._count)}"),
            "--dataset-config-file", str(root / "configs/datasets/digits.yaml"),
            *itertools.chain(*SETTINGS.items()), "FEATURES.DIR", str(self.folder / "features"), *self.pairs, *given,
        ])  # fmt: skip
        with quiet():
            cfg = build_config(args)
            check_config(cfg)
            set_random_seed(seed)
            described = {key: getattr(self.cls, key) for key in ("__module__", "__qualname__", "__doc__")}
            return type(self.cls.__name__, (Watched, self.cls), described)(cfg)

    @property
    def has_steps(self) -> bool:
        """Whether the method trains by steps on batches, and not by a loop of its own."""
        own = self.cls.forward_backward is not CLIPTrainer.forward_backward
        return own or self.cls.loss_terms is not CLIPTrainer.loss_terms

    def require(self, steps: bool = False) -> None:
        """Raise NotApplicable if nothing is learned, or if ``steps`` and there are none."""
        if not self.built.get_model_names():
            raise NotApplicable("nothing is learned")
        if steps and not self.has_steps:
            raise NotApplicable("no training steps: the method has its own loop")

    @cached_property
    def built(self) -> Any:
        """A trainer that stays as it is built."""
        return self.build()

    @cached_property
    def whole(self) -> Any:
        """A trainer after a whole run."""
        self._try_once("the whole run")
        return self.trained()

    def trained(self, **settings: object) -> Any:
        """A trainer after a whole run, which was also tested before it."""
        trainer = self.build(**settings)
        trainer.watch.fixed = fixed_tensors(trainer)
        test_scores(trainer)
        with quiet():
            trainer.train()
        return trainer

    def loaded(self, seed: int = 1, **settings: object) -> Any:
        """A new trainer that has loaded what the whole run saved."""
        return self.load_into(self.build(seed, **settings))

    def load_into(self, trainer) -> Any:
        """The trainer, with what the whole run saved."""
        saved = self.whole.output_dir
        with quiet():
            trainer.load_model(saved)
            trainer.set_model_mode("eval")
        return trainer

    @cached_property
    def deployed(self) -> Any:
        """``loaded`` with another seed: what is not saved starts differently."""
        self.whole  # noqa: B018  (if it raises, loading does not fail)
        self._try_once("loading")
        return self.loaded(seed=2)

    def _try_once(self, what: str) -> None:
        """Raise NotApplicable the second time: then the first time has failed."""
        if what in self._failed:
            raise NotApplicable(f"not checked, because {what} fails")
        self._failed.add(what)

    def resumed(self) -> Any:
        """A trainer that continued the whole run after its first epoch."""
        source, target = Path(self.whole.output_dir), self.folder / "first_epoch"
        for name in self.whole.get_model_names():
            (target / name).mkdir(parents=True)
            shutil.copy(source / name / "model.pth.tar-1", target / name)
        trainer = self.build(RESUME=target)
        with quiet():
            trainer.train()
        return trainer

    @cached_property
    def practice(self) -> Practice:
        """Steps on the first batch of images."""
        trainer = self.build()
        with quiet():
            batch = next(iter(trainer.train_loader_x))
        result = Practice(trainer, batch, values(learned(trainer)))
        try:
            for _ in range(STEPS):
                states = random_states()
                step(trainer, batch)
                result.after_one = result.after_one or values(learned(trainer))
                result.draws |= set(moved(states, random_states()))
                result.gradients |= with_gradient(trainer)
        except Exception as error:
            result.error = error
            result.gradients |= with_gradient(trainer)  # the step may have failed behind its backward pass
        return result

    @cached_property
    def images(self) -> Tensor:
        """Eight test images of different classes (8, 3, H, W)."""
        data = self.built.test_loader.dataset
        return torch.stack([data[i * len(data) // 8]["img"] for i in range(8)])


def is_method(name: str) -> bool:
    """Whether a registered trainer derives from ``CLIPTrainer``."""
    return issubclass(TRAINER_REGISTRY.get(name), CLIPTrainer)


def other_methods(name: str) -> list[type[CLIPTrainer]]:
    """Classes of all registered methods but one."""
    names = [other for other in TRAINER_REGISTRY.registered_names() if other != name and is_method(other)]
    return [TRAINER_REGISTRY.get(other) for other in names]


def default_config(method: str) -> Path:
    """``configs/trainers/NAME/tiny.yaml``, or CoOp's for a method without one."""
    folder = read_facts(method).folder
    own = folder / "tiny.yaml" if folder else None
    return own if own and own.is_file() else checkout_root() / "configs/trainers/CoOp/tiny.yaml"


def step(trainer, batch: dict) -> dict:
    """One training step in the middle of an epoch; returns its metrics."""
    trainer.batch_idx, trainer.num_batches = 0, 2
    trainer.set_model_mode("train")
    with quiet():
        return trainer.forward_backward(batch)


def test_scores(trainer) -> Tensor:
    """Scores (N, C) of a test of all test images."""
    trainer.watch.scores.clear()
    with quiet():
        trainer.test()
    return torch.cat(trainer.watch.scores)


@torch.no_grad()
def scores(trainer, images: Tensor) -> Tensor:
    """Scores (B, C) of images, as a test computes them."""
    trainer.set_model_mode("eval")
    with quiet():
        return trainer.model_inference(images)
