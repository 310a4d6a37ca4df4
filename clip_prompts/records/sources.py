"""``sources.json``: the files that a run has read, to find out later whether one of them has changed.

Imports nothing heavy, so that tools can use it.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clip_prompts.common.contents import content_hashes
from clip_prompts.common.files import write_text_atomically

FILE = "sources.json"
# What runs write into a dataset's folder; the selection of shots that a run has used is among its files.
_WRITTEN = re.compile(r"listing\.json|shot_\d+-seed_\d+-[0-9a-f]{12}\.json")
_INSTALLED = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def source_file(module: str) -> Path | None:
    """The Python file of a module, unless the module is installed or of the standard library.

    The module may be imported later, by a line within a function. The package that holds it must be imported.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if module not in sys.modules and (module.rpartition(".")[0] or "sys") in sys.modules:
        with contextlib.suppress(ImportError, ValueError, AttributeError):
            file = getattr(importlib.util.find_spec(module), "origin", None)
    if not file or not file.endswith(".py") or _is_installed(os.path.dirname(file)) or not os.path.isfile(file):
        return None  # torch has modules that name no real file
    return Path(file).resolve()


@functools.cache  # of thousands of modules, most are in the same folders
def _is_installed(folder: str) -> bool:
    path = Path(folder).resolve()
    return any(path.is_relative_to(place) for place in _INSTALLED)


_loaded: dict[Path, int] = {}  # file -> time of its last change when the process had loaded it


def remember_sources() -> None:
    """Remember the state of all loaded code. Call it right after imports that a process makes for many runs."""
    for name in list(sys.modules):
        if path := source_file(name):
            _loaded.setdefault(path, path.stat().st_mtime_ns)


def has_changed(path: Path) -> bool:
    """True if a file of code was changed after this process had loaded it."""
    return path in _loaded and path.stat().st_mtime_ns != _loaded[path]


def dataset_of(trainer: object) -> Any:
    """Returns a built trainer's dataset; None for a trainer of others that makes its loaders without a data manager."""
    return getattr(getattr(trainer, "dm", None), "dataset", None)


def write_sources(
    folder: str, trainer: object, cfg, files: Iterable[str | os.PathLike | None], with_look: bool
) -> None:
    """Write the file into a run's folder, or remove it if images lie outside the dataset's folder.

    Args:
        trainer: built, with ``dm.dataset``. cfg: its config. files: that the run has read, besides Python code, the
            dataset's folder and what the config names. with_look: also take a look at them, for a sweep; it walks
            through the dataset's folder.
    """
    dataset = dataset_of(trainer)
    top = os.path.abspath(getattr(dataset, "dataset_dir", "") or "")
    items = [item for part in ("train_x", "train_u", "val", "test") for item in getattr(dataset, part, None) or []]
    path = Path(folder) / FILE
    if not getattr(dataset, "dataset_dir", "") or not all(item.impath.startswith(top + os.sep) for item in items):
        path.unlink(missing_ok=True)
        return
    code = {found for name in list(sys.modules) if (found := source_file(name))}
    beside = [other for file in code if file.name == "__init__.py" for other in file.parent.iterdir()]
    code |= {file for file in beside if file.suffix in (".json", ".yaml", ".yml") and file.is_file()}  # tables
    named = [*files, cfg.MODEL.INIT_WEIGHTS, cfg.DATASET.get("SHOTS_FILE", ""), getattr(trainer, "backbone_path", "")]
    named += [getattr(dataset, name, "") for name in ("list_file", "selection_file")]
    read = {os.path.abspath(os.path.expanduser(file)) for file in named if file}
    sources: dict[str, Any] = {"folders": [top], "files": sorted({*map(str, code), *read})}
    if with_look:
        sources["look"] = look(sources)
    write_text_atomically(path, json.dumps(sources, indent=1) + "\n")


def look(sources: dict) -> str | None:
    """A hash of the contents of the files and of the states of all files in the folders; None if one is missing."""
    try:
        parts = [*content_hashes(sources["files"]), *(_folder(path) for path in sources["folders"])]
    except OSError:
        return None
    names = [os.path.basename(path) for path in sources["files"]]
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
