"""The state of a job, read from the files in its folder.

done.json      written last, after the run ended well; names the job (its key), and what the run has read
failed.json    after a run that did not; a run that a signal ended may have one, and counts as interrupted
job.json       at the start: the job that the folder's checkpoints and logs belong to
.lock          held (flock) by the process that runs the job; the kernel lets go of it when that process ends
console.txt    what the run printed
"""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from clip_prompts.common.files import open_regular, open_to_write, read_json, read_object, write_text_atomically
from clip_prompts.common.text import one_line, printable
from clip_prompts.records.results_file import FILE as RESULTS
from clip_prompts.records.schema import is_intact

DONE, FAILED, JOB, LOCK, CONSOLE = "done.json", "failed.json", "job.json", ".lock", "console.txt"
PRESENCE = ".sweeping"  # in the sweep's folder, held (flock) by every sweep that is running into it
STATES = ("done", "running", "failed", "interrupted", "waiting")


@dataclass
class State:
    """The state of a job.

    name: one of ``STATES``. line: why it failed, or what stopped it. epoch: "[3/10]" while it runs. seconds: how long
    it took when done.
    """

    name: str
    line: str = ""
    epoch: str = ""
    seconds: float | None = None


def state_of(folder: Path, key: str) -> State:
    """The state of the job with this key in its folder."""
    done = read_object(folder / DONE)
    if is_done(folder, key, done):
        seconds: Any = done.get("seconds")
        return State("done", seconds=float(seconds) if type(seconds) in (int, float) else None)
    if is_locked(folder):
        return State("running", epoch=epoch(folder))
    failed = read_object(folder / FAILED)
    line = one_line(str(failed.get("line", "")), 500)
    if failed and not was_stopped(failed.get("status")):
        return State("failed", line=line)
    return State("interrupted" if failed or os.path.exists(folder / JOB) else "waiting", line=line)


def was_stopped(status: object) -> bool:
    """True for the exit status of a run that Ctrl-C, SIGTERM or another signal ended: it did not fail by itself."""
    return isinstance(status, int) and (status < 0 or status in (130, 143))


def is_done(folder: Path, key: str, done: dict | None = None) -> bool:
    """True if the marker names this job and the results hold a test record."""
    done = read_object(folder / DONE) if done is None else done
    return done.get("job") == key and has_test_record(folder)


_tested: dict[Path, tuple] = {}  # results file -> when it was read, and whether it has a test record


def has_test_record(folder: Path) -> bool:
    """True if a run has the record of a test; records that were damaged on the disk do not count."""
    file = folder / RESULTS
    try:
        stat = file.stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        if _tested.get(file, (None,))[0] != seen:
            found = read_json(file)
            tests = [r for r in found if isinstance(r, dict) and r.get("split") == "test" and is_intact(r)]
            _tested[file] = (seen, bool(tests))
    except (OSError, ValueError, TypeError):  # no file, or not a list
        return False
    return _tested[file][1]


def mark_done(folder: Path, key: str, seconds: float | None, evidence: dict | None = None) -> None:
    """Write ``done.json``. ``evidence``: of what the run has read, see ``evidence.py``."""
    _mark(folder / DONE, {"job": key, "seconds": seconds, **(evidence or {})})


def mark_failed(folder: Path, key: str, status: int, line: str) -> None:
    _mark(folder / FAILED, {"job": key, "status": status, "line": line})


def _mark(file: Path, content: dict) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    write_text_atomically(file, json.dumps({**content, "finished": now}) + "\n", durable=True)


def failed_since(folder: Path, key: str, since: float) -> bool:
    """True if a run of this job ended badly after a moment (of ``time.time()``)."""
    failed = read_object(folder / FAILED)
    try:
        return failed.get("job") == key and datetime.fromisoformat(failed["finished"]).timestamp() >= since
    except (KeyError, TypeError, ValueError):
        return False


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; gives whether this process got it. It goes when the process ends, however it does."""
    handle = open_to_write(folder / LOCK, 0)
    try:
        tries = 25  # a process that only looks (is_locked) is gone at once
        while not (got := _try(handle, fcntl.LOCK_EX)) and tries:
            tries -= 1
            time.sleep(0.02)
        yield got
    finally:
        os.close(handle)


def is_locked(folder: Path) -> bool:
    """True if a process runs the job."""
    return _is_held(folder / LOCK, fcntl.LOCK_SH)


@contextlib.contextmanager
def presence(output: Path) -> Iterator[None]:
    """Let ``is_swept`` know, until the block ends, that a sweep is running into a folder. Several may do so."""
    handle = open_to_write(output / PRESENCE, 0)
    try:
        _try(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def is_swept(output: Path) -> bool:
    """True if a sweep is running into a folder, even if none of its runs has begun."""
    return _is_held(output / PRESENCE, fcntl.LOCK_EX)


def _is_held(file: Path, kind: int) -> bool:
    """True if another process holds a lock on the file that excludes a lock of this kind."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try(handle, kind)
    finally:
        os.close(handle)


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def last_line(folder: Path) -> str:
    """The last thing that a run printed."""
    lines = [line.strip() for line in _tail(folder) if line.strip()]
    return lines[-1] if lines else "no output"


def epoch(folder: Path) -> str:
    """Returns the progress of a run: "[3/10]" of its last "epoch [3/10] ..." line."""
    steps = [line.split()[1] for line in _tail(folder) if line.startswith("epoch [") and len(line.split()) > 1]
    return steps[-1] if steps else ""


def _tail(folder: Path) -> list[str]:
    try:
        with open_regular(folder / CONSOLE, sys.maxsize) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            return [printable(line) for line in file.read(4096).decode(errors="replace").splitlines()]
    except OSError:
        return []
