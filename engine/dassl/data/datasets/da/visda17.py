"""VisDA-2017: renderings of 3D models as source, photographs as target."""

import os

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainDataset
from ..shared.pictures import read_list


@DATASET_REGISTRY.register()
class VisDA17(DomainDataset):
    """152,397 synthetic and 55,388 real images of 12 classes.

    ``visda17/train/`` (synthetic) and ``visda17/validation/`` (real), each with ``image_list.txt``.
    Peng et al., "VisDA: The Visual Domain Adaptation Challenge", 2017.
    """

    dataset_dir = "visda17"
    domains = ["synthetic", "real"]
    unlabeled = "target"
    where_to_get = "Get train.tar and validation.tar of http://ai.bu.edu/visda-2017/ and unpack them there."

    def read(self, domain, part):
        if part == "val":  # the challenge has no validation images of the source
            return []
        folder = os.path.join(self.dataset_dir, {"synthetic": "train", "real": "validation"}[domain])
        return read_list(os.path.join(folder, "image_list.txt"), folder)
