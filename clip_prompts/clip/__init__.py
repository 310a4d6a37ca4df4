"""The files that a method author reads: trainer, model, learners, teacher, precision, templates, tokens, checkpoints.

Letters of the shapes: C classes, M context vectors, d text width, v vision width, B images, D joint width.
"""

from .learners import Learner, PromptLearner
from .model import PromptedCLIP, Seen, similarity, unit
from .precision import Precision
from .teacher import Teacher
from .trainer import CLIPTrainer

__all__ = [
    "CLIPTrainer",
    "Learner",
    "Precision",
    "PromptLearner",
    "PromptedCLIP",
    "Seen",
    "Teacher",
    "similarity",
    "unit",
]
