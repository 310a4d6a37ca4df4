"""Digits from a single source: trained on a part of one set, tested on others."""

from ..build import DATASET_REGISTRY
from ..shared import digit_five
from ..shared.domains import DomainDataset

MOST = 10000


@DATASET_REGISTRY.register()
class DigitSingle(DomainDataset):
    """The first 10,000 training images of each source, all test images of the targets.

    Data: those of Digit5, see ``shared/digit_five.py``. Volpi et al., "Generalizing to Unseen Domains via
    Adversarial Data Augmentation", NeurIPS 2018, section 4.1.
    """

    dataset_dir = digit_five.FOLDER
    domains = digit_five.DOMAINS

    def find(self, root):
        return digit_five.find_digits("DigitSingle", root)

    def read(self, domain, part):
        if part == "val":
            return []
        pictures = digit_five.read_digits(self.dataset_dir, domain, part)
        return pictures[:MOST] if part == "train" else pictures
