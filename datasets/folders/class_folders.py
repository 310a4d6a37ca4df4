"""Layout ``DIR/<class>/picture.jpg``: not split yet."""

import os
from collections.abc import Iterator

from ..core.class_folders import class_folders, image_names
from .listing import Listing, Picture
from .names import name_folders

# What other programs and this one put beside the classes.
NO_CLASSES = ("split_fewshot", "__MACOSX")
LAYOUTS = (
    "ImageFolder takes class folders, train/ val/ test/ of class folders, annotations.csv or .jsonl, a split_*.json, "
    "or, with --source-domains and --target-domains, one folder of class folders per domain."
)

EMPTY = (
    "Add pictures or remove the folder; where it is a domain that holds class folders, give --source-domains and "
    "--target-domains."
)


def list_classes(folder: str) -> Listing:
    """Raises UserError: no class folders, or one without pictures."""
    pictures = list(pictures_of(folder))
    return Listing(f"Folder {folder}", pictures, name_folders(folder, {picture.key: 0 for picture in pictures}))


def pictures_of(root: str, inner: str = "", part: str = "", domain: str = "") -> Iterator[Picture]:
    """The pictures of the class folders in ``root/inner``, sorted: classes, then pictures. Raises UserError."""
    folder = os.path.join(root, inner).rstrip(os.sep)
    prefix = f"{inner}/" if inner else ""
    for key in class_folders(folder, NO_CLASSES, LAYOUTS):
        for name in image_names(os.path.join(folder, key), EMPTY):
            yield Picture(f"{prefix}{key}/{name}", key, part, domain)
