"""VLCS: five classes that Caltech101, LabelMe, PASCAL VOC 2007 and SUN09 have in common."""

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainFolders

CLASSES = {"0": "bird", "1": "car", "2": "chair", "3": "dog", "4": "person"}


@DATASET_REGISTRY.register()
class VLCS(DomainFolders):
    """10,729 images, ``VLCS/<DOMAIN>/{train,crossval,test}/<0 to 4>/``.

    Fang et al., "Unbiased Metric Learning: On the Utilization of Multiple Datasets and Web Images for Softening
    Bias", ICCV 2013.
    """

    dataset_dir = "VLCS"
    domains = ["caltech", "labelme", "pascal", "sun"]
    parts = {"train": ("train",), "val": ("crossval",), "test": ("test",)}
    where_to_get = "Get VLCS.tar.gz, which DATASETS.md of Dassl.pytorch links, and unpack it there."

    @staticmethod
    def class_name(folder):
        return CLASSES.get(folder, folder)
