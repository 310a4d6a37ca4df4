"""Transforms of an image between the file and the model."""

from .transforms import INTERPOLATION_MODES, build_transform, interpolation_mode
