"""Layers between the feature of a backbone and the classifier."""

from . import mlp  # noqa: F401  enters itself into the registry
from .build import HEAD_REGISTRY, build_head

__all__ = ["HEAD_REGISTRY", "build_head"]
