"""Datasets that are one folder of images per class."""

import os
import random
from collections.abc import Collection, Mapping

from clip_prompts.common.errors import UserError, reading

from .benchmark import BenchmarkDataset
from .items import Row, to_items
from .split_rules import split_per_class

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")


class ClassFolders(BenchmarkDataset):
    """A reader of class folders: labels are the ranks of the sorted folder names, each class split 50/20/30.

    A subclass may state ``ignored``, folders that are no class, and ``renamed``, folder name -> class name; the other
    classes keep the folder's name. Upstream lists the images in the order of the file system. Here they are sorted, so
    that a split made from raw images is the same on every machine.
    """

    ignored: Collection[str] = ()
    renamed: Mapping[str, str] = {}

    def read_raw(self, rng):
        return self.read_and_split_data(
            self.image_dir, ignored=self.ignored, new_cnames=self.renamed, rng=rng, hint=self.missing_hint()
        )

    @staticmethod
    def read_and_split_data(
        image_dir: str, p_trn: float = 0.5, p_val: float = 0.2, ignored: Collection[str] = (),
        new_cnames: Mapping[str, str] | None = None, rng=random, hint: str = "",
    ) -> tuple[list, list, list]:  # fmt: skip
        """Returns (train, val, test) lists of Datum. Readers written for upstream's CoOp call it by this name."""
        items = to_items(folder_rows(image_dir, ignored, new_cnames, hint), image_dir, image_dir, hint)
        return split_per_class(items, p_trn, p_val, rng, lambda item: item.classname)


def class_folders(folder: str, ignored: Collection[str] = (), hint: str = "", none_is_fine: bool = False) -> list[str]:
    """Returns the names of the folders in ``folder``, sorted (capitals first), without hidden ones.

    Raises UserError for none, unless ``none_is_fine``.
    """
    with reading(f"Image folder {folder}", hint), os.scandir(folder) as entries:
        names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".") and e.name not in ignored]
    if not names and not none_is_fine:
        raise UserError(f"Image folder {folder} holds no class folders. {hint}".rstrip())
    return sorted(names)


def image_suffixed(name: str) -> bool:
    """Returns True for the file name of an image that is not hidden."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def image_names(folder: str, hint: str = "") -> list[str]:
    """Returns the names of the image files in ``folder``, sorted, without hidden ones.

    Raises UserError for none, and for a link to an image that is not there.
    """
    with reading(f"Class folder {folder}", hint):
        with os.scandir(folder) as entries:
            images = [entry for entry in entries if image_suffixed(entry.name)]
        names = [entry.name for entry in images if entry.is_file()]
        if len(names) < len(images) and (lost := sorted(e.path for e in images if not os.path.exists(e.path))):
            raise UserError(f"{lost[0]} is a link to an image that does not exist. {hint}".rstrip())
    if not names:
        raise UserError(f"Class folder {folder} holds no images. {hint}".rstrip())
    return sorted(names)


def folder_rows(
    folder: str, ignored: Collection[str] = (), renamed: Mapping[str, str] | None = None, hint: str = ""
) -> list[Row]:
    """Returns ``(class folder/image, label, class name)`` of every image; see :class:`ClassFolders`."""
    return [
        (f"{name}/{image}", label, (renamed or {}).get(name, name))
        for label, name in enumerate(class_folders(folder, ignored, hint))
        for image in image_names(os.path.join(folder, name), hint)
    ]
