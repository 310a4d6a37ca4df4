"""Trainers: the loop over epochs and batches, with hooks that subclasses fill in."""

from . import build, da, dg, ssl, trainer
from .build import TRAINER_REGISTRY, build_trainer
from .da import ADDA, CDAC, DAEL, DANN, M3SDA, MCD, MME, SE, AdaBN, SourceOnly
from .dg import DAELDG, DDAIG, CrossGrad, DomainMix, Vanilla
from .ssl import EntMin, FixMatch, MeanTeacher, MixMatch, SupBaseline
from .trainer import SimpleNet, SimpleTrainer, TrainerBase, TrainerX, TrainerXU

__all__ = [
    "ADDA",
    "AdaBN",
    "CDAC",
    "CrossGrad",
    "DAEL",
    "DAELDG",
    "DANN",
    "DDAIG",
    "DomainMix",
    "EntMin",
    "FixMatch",
    "M3SDA",
    "MCD",
    "MME",
    "MeanTeacher",
    "MixMatch",
    "SE",
    "SimpleNet",
    "SimpleTrainer",
    "SourceOnly",
    "SupBaseline",
    "TRAINER_REGISTRY",
    "TrainerBase",
    "TrainerX",
    "TrainerXU",
    "Vanilla",
    "build",
    "build_trainer",
    "da",
    "dg",
    "ssl",
    "trainer",
]
