"""Trainers: the loop over epochs and batches, with hooks that subclasses fill in."""

from . import build, trainer
from .build import TRAINER_REGISTRY, build_trainer
from .trainer import SimpleNet, SimpleTrainer, TrainerBase, TrainerX, TrainerXU

__all__ = [
    "SimpleNet",
    "SimpleTrainer",
    "TRAINER_REGISTRY",
    "TrainerBase",
    "TrainerX",
    "TrainerXU",
    "build",
    "build_trainer",
    "trainer",
]
