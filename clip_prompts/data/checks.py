"""Checks on the lists of a dataset."""

import os
from collections.abc import Sequence

from clip_prompts.common.contents import content_hashes
from clip_prompts.common.errors import UserError
from clip_prompts.common.text import is_unicode, one_line


def check_splits(
    train: Sequence, val: Sequence, test: Sequence, source: str, unique_names: bool = True, test_only: bool = False
) -> None:
    """Check labels, class names and images of three lists of Datum; ``source`` starts the message.

    Class names and the number of classes come from the training list alone. So its labels must be 0..C-1
    without a gap, one name each, and no other list may know a class that it does not. ``unique_names``: no two
    labels may share a name. An image is in one list, once; but ``val`` may be the list ``test`` itself (ImageNet), and
    with ``test_only`` the test list is used for training too.
    Raises UserError.
    """
    if not train:
        raise UserError(f"{source} has no training images.")
    if not test:
        raise UserError(f"{source} has no test images.")
    names: dict[int, str] = {}
    for part in (train, val, test):
        for item in part:
            known = names.setdefault(item.label, item.classname)
            if known != item.classname:
                raise UserError(
                    f"{source} gives label {item.label} two class names: '{known}' and '{item.classname}' "
                    f"({item.impath})."
                )
    for label, name in names.items():
        if not is_unicode(name):
            raise UserError(
                f"{source}: the name of the class '{name}' (label {label}) is not UTF-8. Rename its folder."
            )
    trained = {item.label for item in train}
    for label in range(max(names) + 1):
        if label in trained:
            continue
        name = f" ('{names[label]}')" if label in names else ""
        raise UserError(
            f"{source} has an empty class: no training image for label {label}{name}. "
            f"Labels must run from 0 without a gap (the largest is {max(names)})."
        )
    labels: dict[str, int] = {}
    for label, name in names.items() if unique_names else ():
        if name in labels:
            raise UserError(f"{source} gives the class name '{name}' to labels {labels[name]} and {label}.")
        labels[name] = label
    parts = {"train": train, "val": [] if val is test else val, "test": [] if test_only else test}
    _check_images(parts, source)


def check_contents(train: Sequence, val: Sequence, test: Sequence) -> None:
    """Print a warning if test images have the content of images to train or validate on.

    Raises UserError if two of them are the same file, under two names by a link.
    """
    try:
        known = dict(zip(content_hashes([item.impath for item in (*train, *val)]), (*train, *val), strict=True))
        tested = zip(test, content_hashes([item.impath for item in test]), strict=True)
        pairs = [(item, known[content]) for item, content in tested if content in known]
    except OSError:  # the loader reports it
        return
    for item, other in pairs:
        if os.path.realpath(item.impath) == os.path.realpath(other.impath):
            raise UserError(
                f"The test image {item.impath} and {other.impath} are the same file, because one is a link. Remove it "
                "from one part."
            )
    if pairs:
        same = f"{pairs[0][0].impath} and {pairs[0][1].impath}"
        line = f"{len(pairs)} of {len(test)} test images have the same content as an image to train or validate on"
        print(one_line(f"Warning: {line}, such as {same}"))


def _check_images(parts: dict[str, Sequence], source: str) -> None:
    place: dict[str, str] = {}  # path -> part
    for part, items in parts.items():
        for item in items:
            path = item.impath
            if "//" in path or "/./" in path:
                path = os.path.normpath(path)
            if path not in place:
                place[path] = part
            elif (other := place[path]) == part:
                raise UserError(f"{source} has the image {path} twice in {part}. Remove one entry.")
            else:
                shared = sum(place.get(os.path.normpath(each.impath)) == other for each in items)
                more = f" ({shared} images are in both)" if shared > 1 else ""
                raise UserError(
                    f"{source} has the image {path} in {other} and in {part}{more}. Remove it from one of them."
                )
