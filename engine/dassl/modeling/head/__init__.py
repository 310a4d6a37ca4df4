"""Layers between the feature of a backbone and the classifier."""

from .build import HEAD_REGISTRY, build_head
from .mlp import mlp
