"""Which images lie in a large number of folders, kept in a file so that only folders that changed are listed again.

``listing.json``: ``{"version": 1, "folders": {folder: [time of its last change in ns, [image names, sorted]]}}``,
folders relative to the image folder. Adding or removing a file changes its folder's time, so nothing goes stale.
"""

import json
import os
import time
from collections.abc import Sequence

from clip_prompts.common.files import LIST, read_json

from .class_folders import image_names
from .items import is_encodable
from .storage import write_text_atomically

VERSION = 1
_SETTLED = 2 * 10**9  # ns; some file systems keep times to 2 s, so a folder that changed since is not relied upon


def list_images(
    base: str, folders: Sequence[str], kept_in: Sequence[str], remedy: str = "", keep_in: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """The image names of each of ``folders`` (below ``base``), sorted.

    ``kept_in``: files that may hold the listing; read from the first that does, written to the first that can be.
    ``keep_in``: the files that it may be written to, where those are not all of them.
    Raises UserError for a folder that is missing or has no images; ``remedy`` says what to do about it.
    """
    kept = next((found for path in kept_in if (found := _read(path)) is not None), {})
    listing, listed = {}, 0
    for folder in folders:
        path = os.path.join(base, folder)
        changed = _changed(path)
        entry = kept.get(folder)
        if entry is None or entry[0] != changed:
            if not listed and len(folders) > 100:
                print(f"Listing the images in {base}")
            listed += 1
            settled = changed and time.time_ns() - changed > _SETTLED
            entry = [changed if settled else 0, image_names(path, remedy)]
        listing[folder] = entry
    if listed or len(kept) != len(listing):
        _write(kept_in if keep_in is None else keep_in, listing)
    return {folder: names for folder, (_, names) in listing.items()}


def _changed(folder: str) -> int:
    """The time of the folder's last change in ns; 0 where it cannot be told."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0  # image_names says what is wrong


def _read(path: str) -> dict | None:
    """The kept entries; None for a file that is not there or holds anything else."""
    try:
        content = read_json(path, LIST)
        if content["version"] != VERSION:
            return None
        for changed, names in content["folders"].values():
            joined = "".join(names)  # a TypeError for anything but texts
            strange = "/" in joined or os.sep in joined or not is_encodable(joined)
            if type(changed) is not int or not isinstance(names, list) or not names or strange:
                return None
        return content["folders"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(paths: Sequence[str], listing: dict) -> None:
    text = json.dumps({"version": VERSION, "folders": listing})
    for path in paths:
        try:
            write_text_atomically(path, text)
        except OSError:
            continue
        print(f"Listing saved to {path}")
        return
