"""Evidence that a finished run would give the same result now: a cheap look at the files that it has read.

A run lists these files in ``sources.json`` (``clip_prompts/records/sources.py``), with a hash of the look that it took
when it had read them: what is edited while it runs is not what it has read. The marker ``done.json`` holds both. As
long as another look gives the same hash, the run is done. Otherwise it is started again, and ``train.py`` decides: it
compares the identities, which takes seconds, and stops if they are equal.
"""

import os
from pathlib import Path

from clip_prompts.common.contents import content_hashes
from clip_prompts.common.trees import branch
from clip_prompts.records.sources import FILE, look

from .job import Job
from .state import DONE, is_done, read_object


def take(job: Job, output: str | os.PathLike) -> dict:
    """The evidence for ``done.json``, when a job has ended; {} if the run does not say what it has read."""
    sources = read_object(job.path(output) / FILE)
    if not _are_sources(sources):
        return {}
    return {"command": [*job.flags, *job.settings], "sources": sources, "models": _models(job, output)}


def holds(job: Job, output: str | os.PathLike) -> bool:
    """True if a job is done and nothing that it has read has changed since."""
    folder = job.path(output)
    done = read_object(folder / DONE)
    if not is_done(folder, job.key, done):
        return False
    sources = branch(done, "sources")
    if not _are_sources(sources) or done.get("command") != [*job.flags, *job.settings]:
        return False
    return look(sources) == sources["look"] and _models(job, output) == done.get("models")


def _are_sources(sources: dict) -> bool:
    """True for the content of ``sources.json``, with a look."""
    if not isinstance(sources.get("look"), str):
        return False
    lists = [sources.get(key) for key in ("folders", "files")]
    return all(isinstance(found, list) and all(isinstance(path, str) for path in found) for found in lists)


def _models(job: Job, output: str | os.PathLike) -> list[str]:
    """Returns the content hashes of the checkpoints that a job evaluates."""
    files = sorted(map(str, (Path(output) / job.after).glob("*/model*.pth.tar*"))) if job.after else []
    try:
        return content_hashes(files)
    except OSError:
        return []
