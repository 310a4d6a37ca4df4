"""Lists of images as a run's identity knows them: by paths, labels, names and contents."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .source_code import file_hashes

LISTS = {
    "train_x": "training images", "train_u": "unlabelled images", "val": "validation images", "test": "test images",
}  # fmt: skip


class ImageHash(NamedTuple):
    """An image by its content, and by its content and relative path; 16 hexadecimal digits each."""

    content: str
    file: str


def data_of(dataset: object) -> tuple[dict[str, str | None], list[ImageHash], list[ImageHash]]:
    """``data.*`` of the lists of a dataset, and the hashes of its training and test images."""
    found: dict[str, str | None] = {}
    images: dict[str, list[ImageHash]] = {}
    top = getattr(dataset, "image_dir", "") or ""
    for part in LISTS:
        items = getattr(dataset, part, None) or []
        found[f"data.{part}"], images[part] = _list_facts(items, top) if items else (None, [])
    return found, images["train_x"], images["test"]


def _list_facts(items: Sequence, top: str) -> tuple[str, list[ImageHash]]:
    """ "160 images, 3f2a...", a hash over relative paths, labels, class names, domains and contents of a list in order.

    Also returns the hashes of the images. Paths are relative to ``top``, or else to the images' common folder.
    """
    paths = [os.path.abspath(item.impath) for item in items]
    prefix = os.path.join(os.path.abspath(top), "") if top else ""
    if not prefix or not all(path.startswith(prefix) for path in paths):
        prefix = os.path.join(os.path.commonpath({os.path.dirname(path) for path in paths}), "")
    total, images = hashlib.sha256(), []
    for path, item, sha in zip(paths, items, file_hashes(paths), strict=True):
        place = path[len(prefix) :]
        total.update(_bytes(f"{place}\t{item.label}\t{item.classname}\t{item.domain}\t{sha}\n"))
        images.append(ImageHash(sha[:16], hashlib.sha256(_bytes(f"{place}\t{sha}")).hexdigest()[:16]))
    return f"{len(items)} images, {total.hexdigest()}", images


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # names of files may hold any bytes


def list_sha256(fact: str | None) -> str | None:
    """The hash in an entry ``data.*``."""
    return fact.rpartition(" ")[2] if fact else None


def images_per_class(items: Sequence) -> dict[str, int]:
    """Number of images in a list: in total, and the fewest and most of one class."""
    counts = Counter(item.label for item in items)
    return {"total": len(items), "fewest": min(counts.values(), default=0), "most": max(counts.values(), default=0)}
