"""Digit-Five: the MATLAB files of five sets of digits, and the pictures that are exported from them.

The files are those released with "Moment Matching for Multi-Source Domain Adaptation" (ICCV 2019). Pictures are
``digit5/<domain>/{train,test}_images/<number>_<label>.png``.
"""

import os

import numpy as np

from dassl.utils import ConfigError, MissingFileError

from .export import export_once, write_pictures
from .pictures import Picture, find_dataset, find_inside, image_names

DOMAINS = ["mnist", "mnist_m", "svhn", "syn", "usps"]
WHERE = "Get Digit-Five.zip from http://ai.bu.edu/M3SDA/ and unpack it there."
FOLDER = "digit5"


def read_digits(dataset_dir, domain, part):
    """Return the pictures of a domain for "train" or "test" in the order of their names, exported where missing.

    Raises:
        MissingFileError: neither the pictures nor the MATLAB file is there.
        ConfigError: a MATLAB file of another content, or a picture whose name ends with no label.
    """
    folder = os.path.join(dataset_dir, domain, f"{part}_images")
    export_once(folder, lambda work: _export(dataset_dir, domain, part, work))
    found = []
    for name in image_names(folder):
        label = os.path.splitext(name)[0].rpartition("_")[2]
        if not (label.isascii() and label.isdecimal() and len(label) == 1):
            raise ConfigError(f'"{os.path.join(folder, name)}" is not named <number>_<label>. Rename or remove it.')
        found.append(Picture(os.path.join(folder, name), int(label), label))
    return found


def find_digits(name, root):
    """Return the folder of the digits below the data root. Raises MissingFileError."""
    return find_dataset(name, root, FOLDER, WHERE)


def _export(dataset_dir, domain, part, work):
    images, labels = _READERS[domain](dataset_dir, part)
    images, labels = _bytes(images), _digits(labels)
    if len(images) != len(labels):
        raise ConfigError(f"{domain} in {dataset_dir} has {len(images)} images and {len(labels)} labels. {WHERE}")
    paths = (os.path.join(work, f"{number:06d}_{label}.png") for number, label in enumerate(labels))
    write_pictures(images, paths)


def _load(dataset_dir, file, *keys):
    """Variables of a MATLAB file, which is in the folder itself or in the archive's folder."""
    from scipy.io import loadmat  # scikit-learn brings it

    path = os.path.join(dataset_dir, file)
    if not os.path.isfile(path):
        path = os.path.join(find_inside(dataset_dir, "Digit-Five"), file)
    if not os.path.isfile(path):
        raise MissingFileError(f'Digit-Five: there is no file "{os.path.join(dataset_dir, file)}". {WHERE}')
    try:
        content = loadmat(path)
        return [content[key] for key in keys]
    except Exception as error:  # scipy raises many kinds for a file that is cut off or of another kind
        reason = " ".join(str(error).split())
        raise ConfigError(f'"{path}" cannot be read as the MATLAB file of Digit-Five ({reason}). {WHERE}') from error


def _mnist(folder, part):
    return _load(folder, "mnist_data.mat", f"{part}_28", f"label_{part}")


def _mnist_m(folder, part):
    return _load(folder, "mnistm_with_label.mat", part, f"label_{part}")


def _svhn(folder, part):
    images, labels = _load(folder, f"svhn_{part}_32x32.mat", "X", "y")
    return images.transpose(3, 0, 1, 2), labels  # (32, 32, 3, N)


def _syn(folder, part):
    return _load(folder, "syn_number.mat", f"{part}_data", f"{part}_label")


def _usps(folder, part):
    (pairs,) = _load(folder, "usps_28x28.mat", "dataset")
    images, labels = pairs[("train", "test").index(part)]
    return images[:, 0], labels  # (N, 1, 28, 28) in 0..1


_READERS = {"mnist": _mnist, "mnist_m": _mnist_m, "svhn": _svhn, "syn": _syn, "usps": _usps}


def _bytes(images):
    """uint8 (N, H, W) or (N, H, W, 3), of pixels in 0..255 or, where they are fractions, in 0..1."""
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8:
        scale = 255 if images.size and images.max() <= 1 else 1
        images = (images * scale).round().clip(0, 255).astype(np.uint8)
    return images


def _digits(labels):
    """Labels (N,) of one-hot rows (N, 10) or of digits (N,), (N, 1), (1, N); SVHN's 10 is a zero."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 10 and labels.shape[0] != 1:
        return labels.argmax(axis=1)
    return labels.reshape(-1).astype(int) % 10
