"""Optimisers and learning-rate schedules, built from a config node."""

from .lr_scheduler import build_lr_scheduler
from .optimizer import build_optimizer
