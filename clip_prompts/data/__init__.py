"""What all dataset readers share: split files, split rules, few-shot selection, base and new classes.

A reader subclasses :class:`BenchmarkDataset` (pictures that the user has) or :class:`GeneratedDataset`
(pictures that the reader makes itself) and says only what is particular to it.
"""

from .benchmark import BenchmarkDataset
from .generated import GeneratedDataset

__all__ = ["BenchmarkDataset", "GeneratedDataset"]
