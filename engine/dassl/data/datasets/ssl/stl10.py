"""STL-10: 5,000 labelled, 100,000 unlabelled and 8,000 test images of 96 x 96 pixels."""

import os

from dassl.utils import ConfigError, MissingFileError
from dassl.utils.regular_files import read_text

from ..base_dataset import Datum
from ..build import DATASET_REGISTRY
from ..shared import torchvision_sets
from ..shared.partly_labelled import PartlyLabelled
from ..shared.pictures import Picture, image_names

FOLDS = 10
UNKNOWN = -1  # the label of an image that never had one


@DATASET_REGISTRY.register()
class STL10(PartlyLabelled):
    """``stl10/{train,test,unlabeled}/``; ``STL10_FOLD`` 0 to 9 trains on a published fold of 1,000 labelled images.

    Coates et al., "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011.
    """

    dataset_dir = "stl10"

    def read(self, part, settings):
        pictures = super().read(part, settings)
        fold = settings.STL10_FOLD
        if part == "test" or fold < 0:
            return pictures
        if fold >= FOLDS:
            raise ConfigError(f"DATASET.STL10_FOLD must be 0 to {FOLDS - 1}, or -1 for all images, but got {fold}.")
        numbers = self._fold(fold)
        return [picture for picture in pictures if _number(picture) in numbers]

    def _fold(self, fold):
        """Return the positions of the fold's images in the archive."""
        path = os.path.join(self.dataset_dir, "stl10_binary", "fold_indices.txt")
        if not os.path.isfile(path):
            raise MissingFileError(f'DATASET.STL10_FOLD needs "{path}" of stl10_binary.tar.gz. Unpack it there.')
        lines = read_text(path, errors="replace").splitlines()
        try:
            return set(map(int, lines[fold].split()))
        except (IndexError, ValueError) as error:
            raise ConfigError(f'"{path}" has no line of whole numbers for fold {fold}. Unpack it again.') from error

    def read_unlabelled(self):
        folder = torchvision_sets.class_folders("STL10", self.root, "unlabeled")
        inner = os.path.join(folder, "unlabeled")  # as it is exported; the pictures may also lie in the folder itself
        folder = inner if os.path.isdir(inner) else folder
        return [Datum(os.path.join(folder, name), UNKNOWN) for name in image_names(folder)]


def _number(picture: Picture) -> int:
    """The position of an exported picture in the archive, which is its name."""
    stem = os.path.splitext(os.path.basename(picture.path))[0]
    if not stem.isdecimal():
        raise ConfigError(
            f'DATASET.STL10_FOLD needs pictures named by their position in the archive, but there is "{picture.path}". '
            "Remove the folder. The next run exports it again from stl10_binary.tar.gz."
        )
    return int(stem)
