"""Resumable downloads over http and https, whose checksum is compared before the file gets its name."""

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from common.errors import UserError

CHUNK = 2**20
TRIES = 5
TIMEOUT = 60  # seconds without a byte


class Unavailable(Exception):
    """This source cannot serve the file; the next one may."""


def fetch(urls: list[str], target: Path, checksum: str | None = None) -> str:
    """Bring ``target`` from the first source that serves it and return that source.

    ``checksum`` is ``md5:...`` or ``sha256:...``. The bytes gather in ``<target>.part``, where the next call goes on.

    Raises:
        Unavailable: no source serves the file, or none with the right checksum; the text says why for each.
        UserError: an address that is neither http nor https, or a full disk.
    """
    reasons = []
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"Address '{url}' is neither http:// nor https://; give another one")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, target) from error
    for url in urls:
        try:
            _fetch_one(url, target)
            problem = wrong_checksum(_part(target), checksum)
            if problem is None:
                os.replace(_part(target), target)
                _note(target).unlink(missing_ok=True)
                return url
            _forget(target)
            reasons.append(f"{url}: {problem}")
        except Unavailable as error:
            reasons.append(f"{url}: {error}")
        except OSError as error:
            raise storage_error(error, target) from error
    raise Unavailable("; ".join(reasons) or "no address is known")


def wrong_checksum(path: Path, checksum: str | None) -> str | None:
    """None when the file has the checksum ``md5:...`` or ``sha256:...`` (or none is known), else what differs."""
    if not checksum:
        return None
    kind, _, expected = checksum.partition(":")
    with open(path, "rb") as file:
        found = _digest(file, kind)
    return None if found == expected else f"wrong {kind}: {found}, expected {expected}"


def storage_error(error: OSError, target: Path) -> UserError:
    """The line for an OSError while ``target`` was written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"The disk is full: no space for {target}. Free some space and run the same command again")
    return UserError(f"Cannot write {target}: {error.strerror or error}")


def _fetch_one(url: str, target: Path) -> None:
    """Gather ``url`` in the part file, going on after a cut connection."""
    if not _note(target).is_file() or _note(target).read_text(encoding="utf-8") != url:
        _forget(target)  # the bytes of another source are not the beginning of this one's file
        _note(target).write_text(url, encoding="utf-8")
    problem = ""
    for _ in range(TRIES):
        try:
            if _continue(url, _part(target)):
                return
            problem = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the part is longer than the file
                _part(target).unlink(missing_ok=True)
            elif error.code < 500:
                raise Unavailable(f"HTTP status {error.code} {error.reason}") from error
            problem = f"HTTP status {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = str(getattr(error, "reason", error))
    raise Unavailable(f"{problem} ({TRIES} tries)")


def _continue(url: str, part: Path) -> bool:
    """One request for what the part file lacks. True when the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "prompt-learning-data", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _OPENER.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as reply:
        if reply.status != 206:
            have = 0  # the server ignores ranges and sends the file from its start
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None)
        with open(part, "ab" if have else "wb") as file, bar:
            while chunk := _read(reply):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
    return total is None or have >= total


def _read(reply) -> bytes:
    try:
        return reply.read(CHUNK)
    except OSError as error:  # of the network, not of the disk
        raise ConnectionError(str(error)) from error


class _WebOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise urllib.error.URLError(f"redirected to '{newurl}', which is neither http:// nor https://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_WebOnly)


def _digest(file, kind: str) -> str:
    digest = hashlib.new(kind)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".source")


def _forget(target: Path) -> None:
    _part(target).unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)
