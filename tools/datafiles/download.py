"""Downloads over http and https from the first source that serves the file with the right checksum.

A download that was cut continues if the file on the server is the same. pooch and torchvision check a checksum and show
a bar, but neither continues a download.
"""

import errno
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import SMALL, open_to_write, read_object, write_text_atomically

CHUNK = 2**20
TRIES = 5
TIMEOUT = 60  # seconds without a byte


class Unavailable(Exception):
    """This source cannot serve the file; the next one may."""


class _Changed(Exception):
    """The reply does not continue the part file: download the file from its start."""


def fetch(urls: list[str], target: Path, checksum: str | None = None) -> str:
    """Bring ``target`` from the first source that serves it and return that source.

    ``checksum`` is ``md5:...`` or ``sha256:...``. The next call continues ``<target>.part``.

    Raises:
        Unavailable: no source serves the file, or none with the right checksum; the text says why for each.
        UserError: the address is not http or https, or the disk is full.
    """
    part, note = (target.with_name(target.name + end) for end in (".part", ".source"))
    reasons = []
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"Address '{url}' starts with neither http:// nor https://. Give another address")
    for url in urls:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _gather(url, part, note)
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


def _gather(url: str, part: Path, note_file: Path) -> None:
    """Download ``url`` into ``part``; continue after a cut connection, also that of an earlier call.

    ``note_file`` is JSON with the origin of the bytes for later calls: the address, the size of the whole file, and
    the server's marks of this version of the file (ETag, Last-Modified).
    Raises Unavailable: the server does not serve the file. OSError: an error of the disk.
    """
    problem = ""
    for _ in range(TRIES):
        try:
            if _continue(url, part, note_file):
                return
            problem = "the connection was cut"
        except _Changed as error:
            part.unlink(missing_ok=True)
            problem = str(error)
        except urllib.error.HTTPError as error:
            problem = f"HTTP status {error.code} {error.reason}"
            if error.code < 500:
                raise Unavailable(problem) from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = str(getattr(error, "reason", error))
    raise Unavailable(f"{problem} ({TRIES} tries)")


def _continue(url: str, part: Path, note_file: Path) -> bool:
    """Send one request for the bytes that the part file lacks. Returns True when the file is complete."""
    note = read_object(note_file, SMALL)
    if note.pop("url", "") != url or not any(note.values()):
        part.unlink(missing_ok=True)  # bytes of another source, or nothing would show that the file has changed
        note = {}
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "prompt-learning-data", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        # If-Range makes the server send a changed file whole. It takes a strong ETag or a date.
        strong = note.get("etag") or ""
        if mark := note.get("modified") if strong.startswith("W/") or not strong else strong:
            headers["If-Range"] = mark
    try:
        reply = _OPENER.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: no byte comes after those of the part file
            raise
        if _facts(error.headers)["size"] == have == note.get("size"):
            return True
        raise _Changed("the file on the server is shorter than the part that was downloaded") from error
    with reply:
        facts, place = _facts(reply.headers), reply.headers.get("Content-Range", "")
        if reply.status == 206:
            if not place.startswith(f"bytes {have}-"):
                raise _Changed(f"asked for the bytes from {have}, but the server sent '{place}'")
            if any(facts[key] and note.get(key) and facts[key] != note[key] for key in facts):
                raise _Changed("the file changed on the server")
        else:  # the whole file: it has changed, or the server ignores ranges
            have, note = 0, facts
            part.unlink(missing_ok=True)
            write_text_atomically(note_file, json.dumps({"url": url, **facts}))
        total = facts["size"] or note.get("size")
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None)
        with open(open_to_write(part, os.O_APPEND), "ab") as file, bar:
            while chunk := _read(reply):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
    return total is None or have >= total


def _facts(headers) -> dict:
    """Returns the size of the whole file (None if unknown) and the server's marks of its version."""
    place = headers.get("Content-Range", "")
    size = place.rpartition("/")[2].strip() if place else headers.get("Content-Length", "")
    return {
        "size": int(size) if size.isdecimal() else None,
        "etag": headers.get("ETag", ""),
        "modified": headers.get("Last-Modified", ""),
    }


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
