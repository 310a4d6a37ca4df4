"""Layouts of class folders inside other folders.

``DIR/train/<class>/picture.jpg``, the same for ``test`` and, if it is there, for ``val``; or
``DIR/<domain>/<class>/picture.jpg``, if a run names its domains.
"""

import os
from collections.abc import Collection

from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.text import one_line
from clip_prompts.data.class_folders import class_folders

from .class_folders import LAYOUTS, NO_CLASSES, Skipped, pictures_of
from .listing import PARTS, SPELLINGS, Listing


def find_parts(folder: str) -> dict[str, str]:
    """Returns part -> folder, as "val" -> "Validation". Folders of pictures are classes, even one called train.

    Raises UserError: two folders mean the same part.
    """
    found: dict[str, str] = {}
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}  # the reader of class folders says what is wrong
    for name in names:
        part = SPELLINGS.get(name.lower())
        if part is None or not _holds_folders(os.path.join(folder, name)):
            continue
        if part in found:
            raise UserError(
                f"{folder} has {found[part]}/ and {name}/, which both mean {part}. Keep one. "
                "The usual names are train, val and test."
            )
        found[part] = name
    return found


def list_parts(folder: str, ignored: Collection[str] = ()) -> Listing:
    """List the parts of ``folder``; ``ignored`` folders are no classes.

    Raises UserError: no ``test`` folder, a part without class folders, a class folder without pictures.
    """
    found = find_parts(folder)
    there = {part: found[part] for part in PARTS if part in found}
    shown = " and ".join(f"{name}/" for name in there.values())
    if "test" not in there:
        raise UserError(f"{folder} has {shown} but no test/. Add test/<class>/ folders.")
    others = class_folders(folder, (*NO_CLASSES, *ignored, *there.values()), none_is_fine=True)
    if list(there) == ["test"] and others:
        raise UserError(
            f"{folder} has a folder '{others[0]}' next to {shown}. Move the classes to train on into train/."
        )
    if list(there) == ["val", "test"]:
        raise UserError(f"{folder} has {shown} but no train/. Add train/<class>/ folders, or rename {there['val']}.")
    if others:
        names = ", ".join(f"{name}/" for name in others)
        print(one_line(f"Skipped folders that are none of train, val and test: {names}"))
    skipped = Skipped()
    pictures = [picture for part, name in there.items() for picture in pictures_of(folder, skipped, name, part=part)]
    for inner in ("", *there.values()):
        skipped.add_loose(folder, inner)
    return skipped.report(folder, pictures)


def list_domains(folder: str, domains: Collection[str]) -> Listing:
    """Returns the pictures of ``domains``. Raises UserError: an unknown domain, a class folder without pictures."""
    there = class_folders(folder, NO_CLASSES, LAYOUTS)
    for domain in domains:
        if domain not in there:
            raise unknown(f"domain of {folder}", domain, there)
    skipped = Skipped()
    pictures = [p for domain in dict.fromkeys(domains) for p in pictures_of(folder, skipped, domain, domain=domain)]
    return skipped.report(folder, pictures)


def _holds_folders(folder: str) -> bool:
    """Returns True for a part, and False for a class named "train" (of locomotives)."""
    try:
        return bool(class_folders(folder))
    except UserError:
        return False
