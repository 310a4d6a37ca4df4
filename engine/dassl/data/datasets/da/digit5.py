"""Digit-Five: five sets of digits as domains."""

import random

from ..build import DATASET_REGISTRY
from ..shared import digit_five
from ..shared.domains import DomainDataset

MOST = {"train": 25000, "test": 9000}
USPS_REPEATS = 3  # so that its about 7,400 training images do not end an epoch long before the others'


@DATASET_REGISTRY.register()
class Digit5(DomainDataset):
    """25,000 training and 9,000 test images of each domain, drawn from Python's generator; of USPS all there are.

    Data: see ``shared/digit_five.py``. Peng et al., "Moment Matching for Multi-Source Domain Adaptation",
    ICCV 2019, section 5.1.
    """

    dataset_dir = digit_five.FOLDER
    domains = digit_five.DOMAINS
    unlabeled = "target"

    def find(self, root):
        return digit_five.find_digits("Digit5", root)

    def read(self, domain, part):
        if part == "val":
            return []
        pictures = digit_five.read_digits(self.dataset_dir, domain, part)
        if domain == "usps":
            return pictures * (USPS_REPEATS if part == "train" else 1)
        return random.sample(pictures, MOST[part]) if len(pictures) > MOST[part] else pictures
