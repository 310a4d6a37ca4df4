"""Datum objects made of rows, and the hash of their lists.

The constructor of ``Datum`` asks the file system about its image. For a million images that takes minutes on a slow
disk. So each folder is listed once here, and images in a listing are not looked up again.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence

from dassl.data.datasets import Datum

from clip_prompts.common.errors import UserError

Row = tuple[str, int, str]  # relative path, label, class name
UNPACK_AGAIN = "Unpack the images again."


def known_item(impath: str, label: int, domain: int, classname: str) -> Datum:
    """Returns the Datum that the constructor would make, without a look at the file.

    The four attributes are what pickled selections of upstream's engine hold too, so their names are fixed.
    """
    item = Datum.__new__(Datum)
    item._impath = impath
    item._label = label
    item._domain = domain
    item._classname = classname
    return item


def view_as_shown(items: Iterable) -> None:
    """Mark images to be read as a viewer shows them, see ``as_viewed`` of Datum, which upstream's engine lacks."""
    if hasattr(Datum, "as_viewed"):
        for item in items:
            item.as_viewed = True


def to_items(rows: Iterable[Row], image_dir: str, source: str, hint: str = UNPACK_AGAIN) -> list:
    """Make Datum objects of rows; ``source`` starts the message, ``hint`` says what to do about a missing image.

    Raises UserError that names a path outside ``image_dir``, or the first missing image with their number.
    """
    items, missing, number = [], [], 0
    prefix = os.path.join(image_dir, "")
    listings: dict[str, set[str]] = {}
    for number, (path, label, classname) in enumerate(rows, start=1):
        if leads_outside(path):
            raise UserError(f"{source}, entry {number}: the path {path} leads outside the image folder {image_dir}.")
        folder, _, name = path.rpartition("/")
        if folder not in listings:
            listings[folder] = _files(prefix + folder)
        impath = prefix + path
        # Asked for itself where the listing spells it otherwise: some systems know one name by several spellings.
        if name in listings[folder] or os.path.isfile(impath):
            items.append(known_item(impath, label, 0, classname))
        else:
            missing.append(impath)
    if missing:
        more = f" ({len(missing)} of {number} are missing)" if len(missing) > 1 else ""
        raise UserError(f"{source} lists an image that is missing: {missing[0]}{more}. {hint}")
    return items


def relative_paths(paths: Iterable[str], folder: str) -> list[str]:
    """Returns paths relative to ``folder``, with ``/`` between the parts. Raises ValueError for one that is outside."""
    prefix = folder.rstrip(os.sep) + os.sep
    start, result = len(prefix), []
    for path in paths:
        inside = path[start:] if path.startswith(prefix) else os.path.relpath(path, folder)
        if os.sep != "/":
            inside = inside.replace(os.sep, "/")
        if inside.startswith("..") and inside.split("/")[0] == "..":
            raise ValueError(f"{path} is outside {folder}")
        result.append(inside)
    return result


def leads_outside(path: str) -> bool:
    """Returns True if a path that should be relative to a folder is absolute or climbs out of it."""
    return os.path.isabs(path) or (".." in path and ".." in path.replace("\\", "/").split("/"))


def hash_lists(lists: Sequence[Sequence], image_dir: str) -> str:
    """Returns the SHA-256 over relative path, label and class name of every item, in order."""
    digest = hashlib.sha256()
    for items in lists:
        paths = relative_paths([item.impath for item in items], image_dir)
        lines = [f"{p}\t{item.label}\t{item.classname}\n" for p, item in zip(paths, items, strict=True)]
        digest.update(f"{len(items)}\n{''.join(lines)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(folder: str) -> set[str]:
    """Returns the names of the files in a folder; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):  # a name with a zero byte is a ValueError
        return set()
