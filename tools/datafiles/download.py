"""Downloads over http and https from the first source that serves the file with the right checksum."""

import errno
import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from clip_prompts.common.errors import UserError

from .transfer import CHUNK, Unavailable, gather

__all__ = ["Unavailable", "fetch", "storage_error", "wrong_checksum"]


def fetch(urls: list[str], target: Path, checksum: str | None = None) -> str:
    """Bring ``target`` from the first source that serves it and return that source.

    ``checksum`` is ``md5:...`` or ``sha256:...``. The next call continues ``<target>.part``.

    Raises:
        Unavailable: no source serves the file, or none with the right checksum; the text says why for each.
        UserError: an address that is neither http nor https, or a full disk.
    """
    part, note = (target.with_name(target.name + end) for end in (".part", ".source"))
    reasons = []
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"Address '{url}' is neither http:// nor https://; give another one")
    for url in urls:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            gather(url, part, note)
            problem = wrong_checksum(part, checksum)
            if problem is None:
                os.replace(part, target)
                note.unlink(missing_ok=True)
                return url
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
            reasons.append(f"{url}: {problem}")
        except Unavailable as error:
            reasons.append(f"{url}: {error}")
        except OSError as error:
            raise storage_error(error, target) from error
    raise Unavailable("; ".join(reasons) or "no address is known")


def wrong_checksum(path: Path, checksum: str | None) -> str | None:
    """Returns None if the file has the checksum ``md5:...`` or ``sha256:...`` or none is known, else the difference."""
    if not checksum:
        return None
    kind, _, expected = checksum.partition(":")
    digest = hashlib.new(kind)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    return None if found == expected else f"wrong {kind}: {found}, expected {expected}"


def storage_error(error: OSError, target: Path) -> UserError:
    """Returns the user error for an OSError while ``target`` was written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"The disk is full: no space for {target}. Free some space and run the same command again")
    return UserError(f"Cannot write {target}: {error.strerror or error}")
