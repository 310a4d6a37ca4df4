"""Office-Home for domain generalization: with training and validation images."""

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainFolders


@DATASET_REGISTRY.register()
class OfficeHomeDG(DomainFolders):
    """15,588 images of 65 classes, ``office_home_dg/<domain>/{train,val}/<class>/``; of the targets all are tested.

    Venkateswara et al., "Deep Hashing Network for Unsupervised Domain Adaptation", CVPR 2017.
    """

    dataset_dir = "office_home_dg"
    domains = ["art", "clipart", "product", "real_world"]
    parts = {"train": ("train",), "val": ("val",), "test": ("train", "val")}
    where_to_get = "Get office_home_dg.zip, which DATASETS.md of Dassl.pytorch links, and unpack it there."
