"""Office-31 and Office-Home: everyday objects, a folder of classes for each domain, not split."""

import os

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainFolders


@DATASET_REGISTRY.register()
class Office31(DomainFolders):
    """4,110 images of 31 classes in an office, from three cameras.

    ``office31/<domain>/<class>/`` or, as the archive has it, ``office31/<domain>/images/<class>/``.
    Saenko et al., "Adapting Visual Category Models to New Domains", ECCV 2010.
    """

    dataset_dir = "office31"
    domains = ["amazon", "webcam", "dslr"]
    unlabeled = "target"
    where_to_get = "Get Office-31 from https://faculty.cc.gatech.edu/~judy/domainadapt/ and unpack it there."

    def part_folder(self, domain, inner):
        folder = super().part_folder(domain, inner)
        images = os.path.join(folder, "images")
        return images if os.path.isdir(images) else folder


@DATASET_REGISTRY.register()
class OfficeHome(DomainFolders):
    """15,588 images of 65 classes in four styles, ``office_home/<domain>/<class>/``.

    Venkateswara et al., "Deep Hashing Network for Unsupervised Domain Adaptation", CVPR 2017.
    """

    dataset_dir = "office_home"
    domains = ["art", "clipart", "product", "real_world"]
    unlabeled = "target"
    where_to_get = (
        "Get OfficeHomeDataset_10072016.zip from https://www.hemanthdv.org/officeHomeDataset.html, unpack it and "
        "give the folder that name."
    )
