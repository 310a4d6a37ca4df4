"""Trainers: the loop over epochs and batches, with hooks that subclasses fill in."""

from . import build, da, dg, ssl, trainer
from .build import TRAINER_REGISTRY, build_trainer
from .da import ADDA, CDAC, DAEL, DANN, M3SDA, MCD, MME, SE, AdaBN, SourceOnly
from .dg import DAELDG, DDAIG, CrossGrad, DomainMix, Vanilla
from .ssl import EntMin, FixMatch, MeanTeacher, MixMatch, SupBaseline
from .trainer import SimpleNet, SimpleTrainer, TrainerBase, TrainerX, TrainerXU
