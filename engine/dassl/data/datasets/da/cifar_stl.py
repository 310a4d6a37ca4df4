"""CIFAR-10 and STL-10 as two domains: the nine classes that both have."""

import os

from ..build import DATASET_REGISTRY
from ..shared import torchvision_sets
from ..shared.domains import DomainDataset
from ..shared.pictures import plain, read_class_folders

ONLY_ONE_HAS = {"frog", "monkey"}


def _class_name(folder):
    """Folders may be called "1_automobile"; CIFAR-10's automobile is STL-10's car."""
    name = plain(folder).lstrip("0123456789_")
    return "car" if name == "automobile" else name


@DATASET_REGISTRY.register()
class CIFARSTL(DomainDataset):
    """``cifar_stl/{cifar,stl}/{train,test}/<class>/``, or else the pictures of ``cifar10/`` and ``stl10/``.

    French et al., "Self-Ensembling for Visual Domain Adaptation", ICLR 2018, section 4.
    """

    dataset_dir = "cifar_stl"
    domains = ["cifar", "stl"]
    unlabeled = "target"

    def find(self, root):
        return os.path.join(self.root, self.dataset_dir)

    def read(self, domain, part):
        if part == "val":
            return []
        folder = os.path.join(self.dataset_dir, domain, part)
        if not os.path.isdir(folder):
            folder = torchvision_sets.class_folders({"cifar": "CIFAR10", "stl": "STL10"}[domain], self.root, part)
        pictures = read_class_folders(folder, _class_name)
        return [p._replace(key=p.name) for p in pictures if p.name not in ONLY_ONE_HAS]
