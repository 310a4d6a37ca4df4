"""Layout ``DIR/train/<class>/picture.jpg``, the same for ``test`` and, if it is there, for ``val``."""

import os

from common.errors import UserError

from ..core.class_folders import class_folders
from .class_folders import NO_CLASSES, pictures_of
from .listing import PARTS, Listing
from .names import name_folders


def list_parts(folder: str) -> Listing:
    """Raises UserError: no ``test`` folder, a part without class folders, a class folder without pictures."""
    there = [part for part in PARTS if os.path.isdir(os.path.join(folder, part))]
    if "test" not in there:
        raise UserError(f"{folder} has {' and '.join(f'{p}/' for p in there)} but no test/. Add test/<class>/ folders.")
    others = [name for name in class_folders(folder, NO_CLASSES) if name not in PARTS]
    if there == ["test"] and others:
        raise UserError(f"{folder} has a folder '{others[0]}' beside test/. Move the classes to train on into train/.")
    if there == ["val", "test"]:
        raise UserError(f"{folder} has val/ and test/ but no train/. Add train/<class>/ folders, or rename val.")
    pictures = [picture for part in there for picture in pictures_of(folder, part, part=part)]
    return Listing(f"Folder {folder}", pictures, name_folders(folder, {picture.key: 0 for picture in pictures}))
