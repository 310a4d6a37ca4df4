"""CIFAR-10, CIFAR-100, SVHN and STL-10 as class folders, exported from their public archives by torchvision.

torchvision compares the checksums of the released files before it opens them (CIFAR's are pickles), so nothing
but the release is ever read.
"""

import os

from dassl.utils import MissingFileError

from ..archives import extract_archive
from .export import export_once, write_pictures
from .pictures import find_dataset

# name -> folder below the data root, archive, page
SETS = {
    "CIFAR10": ("cifar10", "cifar-10-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    "CIFAR100": ("cifar100", "cifar-100-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    "SVHN": ("svhn", "train_32x32.mat and test_32x32.mat", "http://ufldl.stanford.edu/housenumbers/"),
    "STL10": ("stl10", "stl10_binary.tar.gz", "https://cs.stanford.edu/~acoates/stl10/"),
}


def class_folders(name, root, part):
    """Return the folder ``root/<set>/<part>`` of class folders, exported from the archive where it does not exist.

    Args:
        name (str): a key of ``SETS``.
        root (str): the data root.
        part (str): "train", "test" or, of STL10, "unlabeled" (one class folder of that name).

    Raises:
        MissingFileError: neither the folder nor the archive is there, or the archive is not the released one.
        OutputError: the pictures cannot be written.
    """
    inner, archive, page = SETS[name]
    where = f"Get {archive} from {page} and put it there."
    base = find_dataset(name, root, inner, where)
    folder = os.path.join(base, part)
    if not os.path.isdir(folder):
        if os.path.isfile(packed := os.path.join(base, archive)):
            extract_archive(packed, base)
        try:
            export_once(folder, lambda work: _export(name, base, part, work))
        except RuntimeError as error:  # torchvision: a file is missing, or is not the released one
            raise MissingFileError(
                f'{name} expects "{folder}/<class>/" or the released files in "{base}" '
                f"({' '.join(str(error).split('.')[0].split())}). {where}"
            ) from error
    return folder


def _export(name, base, part, work):
    from torchvision import datasets

    part_of_set = {"train": part == "train"} if name.startswith("CIFAR") else {"split": part}
    data = getattr(datasets, name)(base, download=False, **part_of_set)
    # CIFAR: (N, H, W, 3); the others: (N, 3, H, W)
    images = data.data if name.startswith("CIFAR") else data.data.transpose(0, 2, 3, 1)
    labels = data.targets if name.startswith("CIFAR") else data.labels
    names = getattr(data, "classes", None) or [str(digit) for digit in range(10)]
    folders = ["unlabeled" if label < 0 else names[label].replace(" ", "_") for label in map(int, labels)]
    write_pictures(images, (os.path.join(work, folder, f"{i:06d}.png") for i, folder in enumerate(folders)))
