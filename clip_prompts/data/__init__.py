"""The shared parts of dataset readers: split files, split rules, few-shot selection, base and new classes.

A reader subclasses :class:`BenchmarkDataset` (pictures that the user has) or :class:`GeneratedDataset`
(pictures that the reader makes itself) and states only the facts of its dataset.
"""

from .benchmark import BenchmarkDataset
from .generated import GeneratedDataset

__all__ = ["BenchmarkDataset", "GeneratedDataset"]
