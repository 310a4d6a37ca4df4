"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images of 32 x 32 pixels."""

from ..build import DATASET_REGISTRY
from ..shared.partly_labelled import PartlyLabelled


@DATASET_REGISTRY.register()
class CIFAR10(PartlyLabelled):
    """Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009."""

    dataset_dir = "cifar10"


@DATASET_REGISTRY.register()
class CIFAR100(PartlyLabelled):
    """With the 100 fine classes; the same report."""

    dataset_dir = "cifar100"
