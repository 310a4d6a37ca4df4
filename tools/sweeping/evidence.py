"""Evidence that a finished run would give the same result now: a cheap look at the files that it has read.

A run lists these files in ``sources.json`` (``launch/sources.py``). The marker ``done.json`` holds the list and a hash
of the look that was taken when the run ended. As long as another look gives the same hash, the run is done. Otherwise
it is started again, and ``train.py`` decides: it compares the identities, which takes seconds, and stops if they are
equal.
"""

import functools
import hashlib
import json
import os
import re
from pathlib import Path

from common.contents import content_hashes
from launch.sources import FILE

from .job import Job
from .state import DONE, is_done, read_json

# What runs write into a dataset's folder; the selection of shots that a run has used is among its files.
_WRITTEN = re.compile(r"listing\.json|shot_\d+-seed_\d+-[0-9a-f]{12}\.json")


def take(job: Job, output: str | os.PathLike) -> dict:
    """The evidence for ``done.json``, taken when a job has ended; {} if the run does not say what it has read."""
    sources = read_json(job.path(output) / FILE)
    if not _are_sources(sources):
        return {}
    found = _look(sources, job, output)
    return {"command": _command(job), "sources": sources, "look": found} if found else {}


def holds(job: Job, output: str | os.PathLike) -> bool:
    """Whether a job is done, and nothing that it has read has changed since."""
    folder = job.path(output)
    done = read_json(folder / DONE)
    if not is_done(folder, job.key, done):
        return False
    sources = done.get("sources")
    if not _are_sources(sources) or done.get("command") != _command(job):
        return False
    return _look(sources, job, output) == done.get("look")


def _command(job: Job) -> list[str]:
    return [*job.flags, *job.settings]


def _are_sources(sources: object) -> bool:
    lists = [sources.get(key) for key in ("folders", "files")] if isinstance(sources, dict) else [None]
    return all(isinstance(found, list) and all(isinstance(path, str) for path in found) for found in lists)


def _look(sources: dict, job: Job, output: str | os.PathLike) -> str | None:
    """A hash of the contents of the files and of the states of all files in the folders; None if one is missing."""
    files = [*sources["files"]]
    if job.after:
        files += sorted(map(str, (Path(output) / job.after).glob("*/model*.pth.tar*")))
    try:
        parts = [*content_hashes(files), *(_folder(path) for path in sources["folders"])]
    except OSError:
        return None
    names = [os.path.basename(path) for path in files]
    return hashlib.sha256(json.dumps([names, parts]).encode()).hexdigest()


@functools.lru_cache(maxsize=256)  # hundreds of jobs have the same
def _folder(top: str) -> str:
    """A hash of path, inode, size and times of the last changes of every file in a folder; links are followed.

    Files from one archive may share size and mtime; when two of them are exchanged, inode and ctime tell.

    Raises OSError if there is no such folder.
    """
    lines, waiting, seen = [], [(top, "")], set()
    while waiting:
        folder, place = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or _WRITTEN.fullmatch(entry.name):
                    continue
                found = entry.stat()
                here = f"{place}/{entry.name}"
                if not entry.is_dir():
                    state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                    lines.append(f"{here}\t{state}")
                elif (found.st_dev, found.st_ino) not in seen:  # a link may lead back
                    seen.add((found.st_dev, found.st_ino))
                    waiting.append((entry.path, here))
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()
