"""Datasets, transforms, samplers and the loaders that put them together."""

from .data_manager import DataManager, DatasetWrapper
