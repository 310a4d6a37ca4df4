"""CIFAR-10-C and CIFAR-100-C: trained on clean pictures, tested on corrupted ones."""

import os

import numpy as np

from dassl.utils import ConfigError, MissingFileError, UnknownNameError

from ..build import DATASET_REGISTRY
from ..shared import torchvision_sets
from ..shared.domains import DomainDataset
from ..shared.export import export_once, write_pictures
from ..shared.pictures import read_class_folders

TYPES = [
    "brightness", "contrast", "defocus_blur", "elastic_transform", "fog", "frost", "gaussian_blur", "gaussian_noise",
    "glass_blur", "impulse_noise", "jpeg_compression", "motion_blur", "pixelate", "saturate", "shot_noise", "snow",
    "spatter", "speckle_noise", "zoom_blur",
]  # fmt: skip
LEVELS = 5


class CIFARC(DomainDataset):
    """Source: the training images of CIFAR; target: ``CIFAR_C_TYPE`` at ``CIFAR_C_LEVEL`` (1 to 5).

    The arrays ``<folder>/<type>.npy`` and ``labels.npy`` are exported once to ``<folder>/<type>/<level>/<class>/``.
    Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
    ICLR 2019.
    """

    clean = ""  # name of the clean set in torchvision_sets.SETS

    def __init__(self, cfg):
        self.type, self.level = cfg.DATASET.CIFAR_C_TYPE, cfg.DATASET.CIFAR_C_LEVEL
        if self.type not in TYPES:
            raise UnknownNameError(f"Unknown DATASET.CIFAR_C_TYPE '{self.type}'. Known: {', '.join(TYPES)}")
        if not 1 <= self.level <= LEVELS:
            raise ConfigError(f"DATASET.CIFAR_C_LEVEL must be 1 to {LEVELS}, but got {self.level}.")
        super().__init__(cfg)

    def read(self, domain, part):
        clean = domain == self.domains[0]
        if part == "val":
            return []
        if clean:
            return read_class_folders(torchvision_sets.class_folders(self.clean, self.root, part))
        folder = os.path.join(self.dataset_dir, self.type, str(self.level))
        export_once(folder, self._export)
        return read_class_folders(folder)

    def _export(self, work):
        images, labels = (self._load(f"{name}.npy") for name in (self.type, "labels"))
        size = len(labels) // LEVELS
        if images.shape[0] != len(labels) or images.ndim != 4 or images.dtype != np.uint8 or not size:
            raise ConfigError(
                f"{self.type}.npy in {self.dataset_dir} has shape {images.shape}, for {len(labels)} labels. "
                f"{self.where_to_get}"
            )
        # The folders of the clean pictures, in sorted order, are the classes of the labels.
        clean = torchvision_sets.class_folders(self.clean, self.root, "train")
        names = sorted({p.key for p in read_class_folders(clean)})
        if int(labels.max()) >= len(names):
            raise ConfigError(
                f"labels.npy in {self.dataset_dir} has label {labels.max()}, {clean} {len(names)} classes."
            )
        part = slice((self.level - 1) * size, self.level * size)
        paths = (os.path.join(work, names[int(label)], f"{i:05d}.png") for i, label in enumerate(labels[part]))
        write_pictures(images[part], paths)

    def _load(self, file):
        path = os.path.join(self.dataset_dir, file)
        if not os.path.isfile(path):
            raise MissingFileError(f'{type(self).__name__}: there is no file "{path}". {self.where_to_get}')
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise ConfigError(f'"{path}" is not a readable array ({error}). {self.where_to_get}') from error


@DATASET_REGISTRY.register()
class CIFAR10C(CIFARC):
    dataset_dir = "CIFAR-10-C"
    domains = ["cifar10", "cifar10_c"]
    clean = "CIFAR10"
    where_to_get = "Get CIFAR-10-C.tar from https://zenodo.org/records/2535967 and unpack it there."


@DATASET_REGISTRY.register()
class CIFAR100C(CIFARC):
    dataset_dir = "CIFAR-100-C"
    domains = ["cifar100", "cifar100_c"]
    clean = "CIFAR100"
    where_to_get = "Get CIFAR-100-C.tar from https://zenodo.org/records/3555552 and unpack it there."
