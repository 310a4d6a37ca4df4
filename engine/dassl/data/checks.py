"""Checks on the lists of a dataset, before loaders are built from them."""

import hashlib
import numbers
import os
from concurrent.futures import ThreadPoolExecutor

from dassl.utils import ConfigError, ImageReadError, load_image
from dassl.utils.errors import printable
from dassl.utils.regular_files import open_regular

_SHOWN = 5  # paths in a message


def check_dataset(dataset):
    """Check that the lists of a dataset fit together.

    Two cases are by design: test images that serve as training images (the same Datum objects, or ``test_only``), and a
    validation list that is the test list. An object may be repeated in ``train_x``, as drawing with replacement does.

    Raises:
        ConfigError: a label that is no whole number from 0, a label of ``val`` or ``test`` that ``train_x`` lacks, a
            label with another name than in ``train_x``, an image twice in a list, or one in two lists.
    """
    name = type(dataset).__name__
    parts = {"train_x": dataset.train_x, "val": dataset.val or [], "test": dataset.test or []}
    for part, items in parts.items():
        for item in items:
            is_number = type(item.label) is int or isinstance(item.label, numbers.Integral)
            if not is_number or item.label < 0:
                raise ConfigError(
                    f"{name}: an image of {part} has the label {item.label!r} ({item.impath}). "
                    "Labels are whole numbers from 0."
                )
    _check_classes(name, parts, dataset.lab2cname)
    if is_test_only(dataset):
        parts["test"] = []
    elif validates_on_test(dataset):
        parts["val"] = []
    seen = {}
    for part, items in parts.items():
        for item in items:
            path = item.impath
            if "//" in path or "/./" in path:
                path = os.path.normpath(path)
            other, known = seen.setdefault(path, (part, item))
            if other != part:
                raise ConfigError(f"{name} has the image {path} in {other} and in {part}. Remove it from one of them.")
            if known is not item and not (part == "train_x" and is_bundled(dataset)):
                raise ConfigError(f"{name} has the image {path} twice in {part}. Remove one entry.")


def is_test_only(dataset):
    """True if the test images of a dataset serve as training images, so that class names exist."""
    return getattr(dataset, "test_only", False) or _same_objects(dataset.train_x, dataset.test or [])


def validates_on_test(dataset):
    """Return whether the validation list is the test list, as that of ImageNet is."""
    return _same_objects(dataset.val or [], dataset.test or [])


def is_bundled(dataset):
    """Return whether this package reads the dataset; Digit5 repeats small sets of training images by design."""
    return type(dataset).__module__.startswith("dassl.")


def _check_classes(name, parts, lab2cname):
    found = {(item.label, item.classname): part for part in ("val", "test") for item in parts[part]}
    missing = sorted({label for label, _ in found} - set(lab2cname))
    if missing:
        place = {label: f"{label} ('{classname}', in {part})" for (label, classname), part in found.items()}
        shown = ", ".join(place[label] for label in missing[:8])
        raise ConfigError(
            f"{name} has training images for {len(lab2cname)} of {len(lab2cname) + len(missing)} labels; none for "
            f"label {shown}{', ...' * (len(missing) > 8)}. Give every class an image, or remove the class."
        )
    for (label, classname), part in found.items():
        if classname != lab2cname[label]:
            raise ConfigError(
                f"{name} calls label {label} '{lab2cname[label]}' in train_x and '{classname}' in {part}. "
                "Give the class one name, or use the same numbers in both parts."
            )


def _same_objects(a, b):
    return len(a) == len(b) > 0 and all(x is y for x, y in zip(a, b, strict=True))


def skip_unreadable(dataset, choice):
    """Decode the images of a dataset that has not done so itself, which its attribute ``unreadable`` (list) says.

    Prints a warning if test images have the content of training images.

    Datasets of this package are public: with ``error`` they are left to the loaders.

    Args:
        dataset (DatasetBase): with ``skip``, unreadable images are taken out of its lists.
        choice (str): ``error`` or ``skip``.

    Raises ImageReadError: there are unreadable images, and the choice is ``error``.
    """
    if choice not in ("error", "skip"):
        raise ConfigError(f"DATASET.UNREADABLE must be error or skip, but got '{choice}'.")
    if hasattr(dataset, "unreadable") or (is_bundled(dataset) and choice == "error"):
        return
    lists = [items for items in (dataset.train_x, dataset.train_u, dataset.val, dataset.test) if items]
    images = {item.impath: item for items in lists for item in items}
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as threads:
        looks = dict(zip(images, threads.map(_look, images.values()), strict=True))
    reasons = {path: reason for path, (reason, _) in looks.items() if reason}
    if not is_test_only(dataset):
        _warn_equal_content(dataset, {path: content for path, (_, content) in looks.items()})
    dataset.unreadable = list(reasons)
    if not reasons:
        return
    shown = ", ".join(list(reasons)[:_SHOWN]) + (", ..." if len(reasons) > _SHOWN else "")
    line = f"{len(reasons)} of {len(images)} images cannot be read: {shown}"
    if choice != "skip":
        raise ImageReadError(
            f"{line} (the first: {next(iter(reasons.values()))}). Replace them, or set "
            "DATASET.UNREADABLE skip to ignore them"
        )
    print(printable(f"Skipped: {line}"))
    dataset.leave_out(set(reasons))


def _look(item):
    """Return why an image cannot be read (or ""), and the hash of its file's content."""
    try:
        load_image(item.impath, getattr(item, "as_viewed", False))
        with open_regular(item.impath) as file:
            return "", hashlib.sha256(file.read()).digest()
    except OSError as error:
        return str(error), None


def _warn_equal_content(dataset, content):
    known = {content[item.impath]: item.impath for item in dataset.train_x if content[item.impath] is not None}
    pairs = [(item.impath, known[content[item.impath]]) for item in dataset.test or [] if content[item.impath] in known]
    if pairs:
        line = f"{len(pairs)} of {len(dataset.test)} test images have the same content as a training image"
        print(printable(f"Warning: {line}, such as {pairs[0][0]} and {pairs[0][1]}"))
