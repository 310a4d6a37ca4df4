"""Small replicas of the public archives: MATLAB files of digits, and what torchvision reads."""

import hashlib
import pickle
import tarfile

import numpy as np
import torchvision

# Labels of the pictures of every domain of Digit-Five; each picture holds its label as its first pixel.
DIGITS = {"train": [*range(10), *range(9, -1, -1)], "test": [0, 9, 5]}


def _pictures(labels, shape, one=1):
    """(N, *shape), uint8 or fractions of ``one``: zero but for the first row, which holds the label times 10."""
    images = np.zeros((len(labels), *shape))
    for image, label in zip(images, labels, strict=True):
        image.reshape(-1)[: shape[-1]] = label * 10
        image.reshape(-1)[-1] = 255
    return (images / one).astype(np.float32) if one != 1 else images.astype(np.uint8)


def write_digit_five(folder):
    """Write the five sets in the formats of the release."""
    from scipy.io import savemat

    folder.mkdir(parents=True)
    onehot = {part: np.eye(10)[labels] for part, labels in DIGITS.items()}
    mnist, mnist_m, syn = {}, {}, {}
    for part, labels in DIGITS.items():
        mnist |= {f"{part}_28": _pictures(labels, (28, 28, 1)), f"label_{part}": onehot[part]}
        mnist_m |= {part: _pictures(labels, (28, 28, 3)), f"label_{part}": onehot[part]}
        syn |= {f"{part}_data": _pictures(labels, (32, 32, 3)), f"{part}_label": np.array(labels)[:, None]}
        tens = np.array([label or 10 for label in labels])[:, None]
        images = _pictures(labels, (32, 32, 3)).transpose(1, 2, 3, 0)
        savemat(folder / f"svhn_{part}_32x32.mat", {"X": images, "y": tens})
    savemat(folder / "mnist_data.mat", mnist)
    savemat(folder / "mnistm_with_label.mat", mnist_m)
    (folder / "Digit-Five").mkdir()  # as the archive unpacks
    savemat(folder / "Digit-Five" / "syn_number.mat", syn)
    pairs = np.empty((2, 2), dtype=object)
    for row, labels in enumerate(DIGITS.values()):
        pairs[row] = _pictures(labels, (1, 28, 28), one=255), np.array(labels)[:, None]
    savemat(folder / "usps_28x28.mat", {"dataset": pairs})


def _released(monkeypatch, kind, folder, names, attribute):
    """Let the files that were written be the released ones: their checksums take the place of the true ones."""
    sums = [[n, hashlib.md5((folder / n).read_bytes()).hexdigest()] for n in names]
    monkeypatch.setattr(kind, attribute, sums)


def _images(count, side):
    """(N, side, side, 3): image n holds n."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, side, side, 3), np.uint8)


def write_cifar(root, monkeypatch, hundred=False):
    """``cifar-10-python.tar.gz`` or the archive of CIFAR-100: per batch 20 images, labels 0, 1, 0, 1, ..."""
    kind = torchvision.datasets.CIFAR100 if hundred else torchvision.datasets.CIFAR10
    home = root / ("cifar100" if hundred else "cifar10")
    folder = home / kind.base_folder
    folder.mkdir(parents=True)
    images = _images(20, 32).transpose(0, 3, 1, 2).reshape(20, -1)
    batch = {"data": images, "fine_labels" if hundred else "labels": [n % 2 for n in range(20)]}
    train, test = [n for n, _ in kind.train_list], [n for n, _ in kind.test_list]
    for name in (*train, *test):
        (folder / name).write_bytes(pickle.dumps(batch))
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: ["airplane", "aquarium fish"]}))
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": hashlib.md5(meta.read_bytes()).hexdigest()})
    _released(monkeypatch, kind, folder, train, "train_list")
    _released(monkeypatch, kind, folder, test, "test_list")
    with tarfile.open(home / ("cifar-100-python.tar.gz" if hundred else "cifar-10-python.tar.gz"), "w:gz") as archive:
        archive.add(folder, kind.base_folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return home


def write_svhn(root, monkeypatch):
    """The two MATLAB files: 20 images each, labels 1, 10, 1, 10, ..."""
    from scipy.io import savemat

    kind, home = torchvision.datasets.SVHN, root / "svhn"
    home.mkdir(parents=True)
    sums = {}
    for part in ("train", "test"):
        name = f"{part}_32x32.mat"
        labels = np.array([10 if n % 2 else 1 for n in range(20)])[:, None]
        savemat(home / name, {"X": _images(20, 32).transpose(1, 2, 3, 0), "y": labels})
        sums[part] = ["", name, hashlib.md5((home / name).read_bytes()).hexdigest()]
    monkeypatch.setattr(kind, "split_list", sums)
    return home


def write_stl10(root, monkeypatch):
    """The binary files: 20 labelled, 5 unlabelled and 20 test images of 96 x 96 pixels, labels 1, 2, 1, 2, ..."""
    kind, home = torchvision.datasets.STL10, root / "stl10"
    folder = home / kind.base_folder
    folder.mkdir(parents=True)
    for part, count in (("train", 20), ("test", 20), ("unlabeled", 5)):
        (folder / f"{part}_X.bin").write_bytes(_images(count, 96).transpose(0, 3, 2, 1).tobytes())  # columns first
        if part != "unlabeled":
            (folder / f"{part}_y.bin").write_bytes(bytes(1 + n % 2 for n in range(count)))
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    (folder / "fold_indices.txt").write_text("".join(f"{f} {f + 1} 18 19\n" for f in range(10)))
    _released(monkeypatch, kind, folder, ["train_X.bin", "train_y.bin", "unlabeled_X.bin"], "train_list")
    _released(monkeypatch, kind, folder, ["test_X.bin", "test_y.bin"], "test_list")
    return home
