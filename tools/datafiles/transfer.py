"""The bytes of one address, gathered in a part file that the next try goes on with while the server's file stays."""

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from clip_prompts.common.files import SMALL, open_to_write, read_json, write_text_atomically

CHUNK = 2**20
TRIES = 5
TIMEOUT = 60  # seconds without a byte


class Unavailable(Exception):
    """This source cannot serve the file; the next one may."""


class _Changed(Exception):
    """The reply does not go on where the part file ends: start anew."""


def gather(url: str, part: Path, note_file: Path) -> None:
    """Bring all of ``url`` into ``part``, going on after a cut connection, also that of an earlier call.

    ``note_file`` tells later calls, as JSON, what the bytes are part of: the address, the size of the whole, and the
    server's marks of this version of it (ETag, Last-Modified).
    Raises Unavailable, and OSError for the disk.
    """
    note = _read_note(note_file)
    if note.get("url") != url or not (note.get("size") or _mark(note)):
        part.unlink(missing_ok=True)  # of another source, or nothing would tell a changed file
        note = {"url": url}
    problem = ""
    for _ in range(TRIES):
        try:
            if _go_on(part, note, note_file):
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


def _go_on(part: Path, note: dict, note_file: Path) -> bool:
    """One request for what the part file lacks. True when the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "prompt-learning-data", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if mark := _mark(note):
            headers["If-Range"] = mark  # a changed file is then sent whole
    try:
        reply = _OPENER.open(urllib.request.Request(note["url"], headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # no byte comes after those that are there
            if _whole(error.headers) == have == note.get("size"):
                return True
            raise _Changed("the file on the server is shorter than what is there of it") from error
        raise
    with reply:
        if reply.status == 206:
            _check_place(reply.headers, have, note)
        else:
            have = 0  # the whole file: it has changed, or the server ignores ranges
            part.unlink(missing_ok=True)
            note.update(_facts(reply.headers))
            write_text_atomically(note_file, json.dumps(note))
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None)
        with open(open_to_write(part, os.O_APPEND), "ab") as file, bar:
            while chunk := _read(reply):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
    return total is None or have >= total


def _check_place(headers, have: int, note: dict) -> None:
    """Raise _Changed unless a part begins where ours ends, in the same version of the file."""
    place = headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", place.strip())
    if not found or int(found[1]) != have:
        raise _Changed(f"asked for the bytes from {have} on, the server sent '{place}'")
    new = _facts(headers) | {"size": _whole(headers)}
    if any(new[key] and note.get(key) and new[key] != note[key] for key in ("size", "etag", "modified")):
        raise _Changed("the file changed on the server")


def _facts(headers) -> dict:
    length = headers.get("Content-Length")
    return {
        "size": int(length) if length else None,
        "etag": headers.get("ETag", ""),
        "modified": headers.get("Last-Modified", ""),
    }


def _whole(headers) -> int | None:
    """The size of the whole file, as a Content-Range tells it."""
    found = re.search(r"/(\d+)\s*$", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _mark(note: dict) -> str:
    """What If-Range may hold: an ETag that stands for the very bytes, else the date."""
    etag = note.get("etag") or ""
    return etag if etag and not etag.startswith("W/") else note.get("modified") or ""


def _read_note(path: Path) -> dict:
    try:
        note = read_json(path, SMALL)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


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
