"""Content hashes of files, with a manifest that answers for files that have not changed since the last look."""

import functools
import hashlib
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from .files import open_regular
from .places import user_cache_dir
from .text import one_line

FILE = "contents.sqlite3"  # in the user's cache; safe to delete
_GRAIN = 2_000_000_000  # ns; two writes to a file within the clock's grain leave the same times
_MANY = 500  # files; hashing more of them shows a bar
_CHUNK = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_STATE = ("dev", "ino", "size", "mtime", "ctime")
_TABLES = (
    f"CREATE TABLE IF NOT EXISTS files ({', '.join(_STATE)}, sha256 TEXT, PRIMARY KEY (dev, ino))",
    "CREATE TABLE IF NOT EXISTS verdicts (sha256, judge, verdict TEXT, PRIMARY KEY (sha256, judge))",
)
_LOOK_UP = f"SELECT sha256 FROM files WHERE {' AND '.join(f'{name} = ?' for name in _STATE)}"
_STORE = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)"

State = tuple[str, str, int, int, int]  # device, inode, size, times of the last changes to content and to inode


def content_hashes(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Returns the SHA-256 (hex) of the whole content of every file, in order. Follows links.

    The manifest answers for a file whose device, inode, size, mtime and ctime are those of the last look. A file that
    changed within the last two seconds is hashed each time, because another change may leave the same times.
    A manifest that cannot be used costs a printed warning and time.
    Raises OSError: a file cannot be read, or is not a regular file.
    """
    states = {path: _state(os.stat(path)) for path in dict.fromkeys(os.fspath(path) for path in paths)}
    known = {state: text for state, text in _read(_LOOK_UP, states.values()) if _SHA256.fullmatch(text)}
    unknown = [path for path, state in states.items() if state not in known]
    fresh = dict(zip(unknown, _hash_files(unknown), strict=True))
    _write(_STORE, [(*state, sha256) for state, sha256 in fresh.values() if state is not None])
    return [known.get(states[path]) or fresh[path][1] for path in (os.fspath(path) for path in paths)]


def manifest_path() -> Path:
    """Returns the path of the manifest, an SQLite file in the user's cache."""
    return user_cache_dir() / FILE


def _state(found: os.stat_result) -> State:
    # SQLite's integers have 63 bits, those of some file systems 64: as text they fit.
    return str(found.st_dev), str(found.st_ino), found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _hash_files(paths: Sequence[str]) -> list[tuple[State | None, str]]:
    """Returns (state, SHA-256) of each file; the state is None if the file may change without changing its times."""
    if not paths:
        return []
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as threads:
        hashed: Iterable = threads.map(_hash_file, paths)
        if len(paths) >= _MANY:
            from tqdm import tqdm  # takes a while to import

            hashed = tqdm(hashed, total=len(paths), desc="Hashing files", unit="file", leave=False)
        return list(hashed)


def _hash_file(path: str) -> tuple[State | None, str]:
    digest = hashlib.sha256()
    looked = time.time_ns()
    with open_regular(path, sys.maxsize) as file:
        before = os.fstat(file.fileno())
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        after = _state(os.fstat(file.fileno()))
    # Without an inode number (on some systems it is 0) files cannot be told apart.
    settled = before.st_ino != 0 and max(before.st_mtime_ns, before.st_ctime_ns) < looked - _GRAIN
    return after if settled and _state(before) == after else None, digest.hexdigest()


def read_verdicts(hashes: Iterable[str], judge: str) -> dict[str, str]:
    """Returns content hash -> verdict, for the contents that ``judge`` has judged before (see ``store_verdicts``)."""
    query = "SELECT verdict FROM verdicts WHERE sha256 = ? AND judge = ?"
    return {key[0]: verdict for key, verdict in _read(query, [(sha256, judge) for sha256 in hashes])}


def store_verdicts(verdicts: Mapping[str, str], judge: str) -> None:
    """Keep what ``judge`` (a program and its version, in a line) says of contents: content hash -> text."""
    _write("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", [(key, judge, text) for key, text in verdicts.items()])


def _read(query: str, keys: Iterable[tuple]) -> list[tuple[tuple, str]]:
    """Returns (key, text) for every key that the manifest knows."""
    path = manifest_path()
    if not path.is_file():
        return []
    try:
        with closing(_connect(path)) as manifest:
            rows = [(key, manifest.execute(query, key).fetchone()) for key in keys]
    except (OSError, sqlite3.Error) as error:
        _warn(path, str(error))
        return []
    return [(key, row[0]) for key, row in rows if row and isinstance(row[0], str)]


def _write(statement: str, rows: Sequence[tuple]) -> None:
    if not rows:
        return
    path = manifest_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        with closing(_connect(path)) as manifest, manifest:
            manifest.executemany(statement, rows)
    except (OSError, sqlite3.Error) as error:
        _warn(path, str(error))


def _connect(path: Path) -> sqlite3.Connection:
    manifest = sqlite3.connect(path, timeout=20)
    try:
        for table in _TABLES:
            manifest.execute(table)
    except sqlite3.Error:
        manifest.close()
        raise
    return manifest


@functools.cache  # one line per reason
def _warn(path: Path, reason: str) -> None:
    print(one_line(f"Warning: content hashes are not stored in {path} ({reason}). Remove the file if it is broken."))
