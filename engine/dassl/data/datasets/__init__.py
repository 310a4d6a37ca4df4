"""The description of a dataset (lists of images with labels), the registry of datasets, and the bundled ones."""

from .base_dataset import DatasetBase, Datum
from .build import DATASET_REGISTRY, build_dataset

# After the registry, in which they register themselves.
from . import da, dg, ssl  # isort: skip
