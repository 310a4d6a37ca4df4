"""A check for pictures that cannot be read, before a run uses them."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
from dassl.utils import read_image

from clip_prompts.common.contents import content_hashes, read_verdicts, store_verdicts
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.text import one_line

try:
    from dassl.utils import load_image
except ImportError:  # upstream's Dassl tries to read a broken file again for ever
    load_image = None

CHOICES = ("error", "skip")
_SHOWN = 5  # paths in a message
_MANY = 500  # pictures; decoding more of them shows a bar
_READER = f"load_image 1, Pillow {PIL.__version__}"


def skip_unreadable(lists: Sequence[list], choice: str, folder: str) -> tuple[list[list], list[str]]:
    """Decode every picture once. Returns the lists without the unreadable ones, and their paths below ``folder``.

    The verdict of a picture is kept with the hash of its content, so a second look takes no time.

    Args:
        lists: lists of Datum. choice: DATASET.UNREADABLE, "error" or "skip". folder: paths are relative to it.

    Raises UserError: a picture is unreadable and the choice is "error"; or another choice.
    """
    if choice not in CHOICES:
        raise unknown("value of DATASET.UNREADABLE", choice, CHOICES)
    if load_image is None:
        return list(lists), []
    reasons = find_unreadable({item.impath: item for items in lists for item in items}.values())
    if not reasons:
        return list(lists), []
    bad = [os.path.relpath(path, folder) for path in reasons]
    total = len({item.impath for items in lists for item in items})
    shown = ", ".join(bad[:_SHOWN]) + (", ..." if len(bad) > _SHOWN else "")
    line = f"{len(bad)} of {total} pictures in {folder} cannot be read: {shown}"
    if choice == "error":
        first = next(iter(reasons.values()))
        raise UserError(f"{line} (the first: {first}). Replace them, or set DATASET.UNREADABLE skip to ignore them")
    print(one_line(f"Skipped: {line}"))
    return [[item for item in items if item.impath not in reasons] for items in lists], sorted(bad)


def find_unreadable(items: Iterable) -> dict[str, str]:
    """Returns the path -> reason for the images of ``items`` that cannot be hashed or decoded.

    Raises UserError: this Dassl cannot tell.
    """
    if load_image is None:
        raise UserError(
            "The installed Dassl cannot skip unreadable images, because its reader tries forever. Install this "
            "project's engine: pip install ./engine"
        )
    items = list(items)
    hashes, reasons = _hashes([item.impath for item in items])
    for as_viewed in (False, True):
        own = [i for i in items if i.impath in hashes and getattr(i, "as_viewed", False) == as_viewed]
        judge = f"{_READER}, {'as viewed' if as_viewed else 'plain'}"
        verdicts = read_verdicts({hashes[item.impath] for item in own}, judge)
        unknown_items = [item for item in own if hashes[item.impath] not in verdicts]
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as threads:
            found: Iterable = threads.map(_decode, unknown_items)
            if len(unknown_items) >= _MANY:
                from tqdm import tqdm

                found = tqdm(found, total=len(unknown_items), desc="Checking pictures", unit="file", leave=False)
            fresh = {hashes[item.impath]: verdict for item, verdict in zip(unknown_items, found, strict=True)}
        store_verdicts(fresh, judge)
        verdicts |= fresh
        reasons |= {item.impath: reason for item in own if (reason := verdicts[hashes[item.impath]])}
    return reasons


def load_item(item) -> PIL.Image.Image:
    """Returns the image of a Datum as a run reads it, in RGB."""
    as_viewed = getattr(item, "as_viewed", False)
    return read_image(item.impath) if load_image is None else load_image(item.impath, as_viewed)


def _hashes(paths: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the path -> content hash, and path -> reason for files that cannot be read."""
    try:
        return dict(zip(paths, content_hashes(paths), strict=True)), {}
    except OSError:
        hashes, reasons = {}, {}
        for path in paths:
            try:
                hashes[path] = content_hashes([path])[0]
            except OSError as error:
                reasons[path] = error.strerror or str(error)
        return hashes, reasons


def _decode(item) -> str:
    """Returns why the image cannot be decoded, or ""."""
    try:
        load_item(item)
    except (OSError, ValueError) as error:  # every error of load_image is one of them
        # A verdict is about the content, which may be at other paths later.
        reason = str(error).replace(f'"{item.impath}" ', "").replace(f" {item.impath!r}", "")
        return reason.removesuffix(". Replace or remove the file.")
    return ""
