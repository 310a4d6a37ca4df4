"""Digits-DG: four sets of digits, 600 images of each class and domain."""

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainFolders


@DATASET_REGISTRY.register()
class DigitsDG(DomainFolders):
    """24,000 images, ``digits_dg/<domain>/{train,val}/<class>/``; of the targets all are tested.

    Zhou et al., "Deep Domain-Adversarial Image Generation for Domain Generalisation", AAAI 2020, section 4.1.
    """

    dataset_dir = "digits_dg"
    domains = ["mnist", "mnist_m", "svhn", "syn"]
    parts = {"train": ("train",), "val": ("val",), "test": ("train", "val")}
    where_to_get = "Get digits_dg.zip, which DATASETS.md of Dassl.pytorch links, and unpack it there."
