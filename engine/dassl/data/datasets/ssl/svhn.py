"""SVHN: 73,257 training and 26,032 test images of house numbers, 32 x 32 pixels."""

from ..build import DATASET_REGISTRY
from ..shared.partly_labelled import PartlyLabelled


@DATASET_REGISTRY.register()
class SVHN(PartlyLabelled):
    """Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS-W 2011."""

    dataset_dir = "svhn"
