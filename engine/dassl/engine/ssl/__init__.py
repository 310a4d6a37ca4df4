"""Semi-supervised learning: a few labelled images, and many without labels."""

from .entmin import EntMin
from .fixmatch import FixMatch
from .mean_teacher import MeanTeacher
from .mixmatch import MixMatch
from .sup_baseline import SupBaseline

__all__ = ["EntMin", "FixMatch", "MeanTeacher", "MixMatch", "SupBaseline"]
