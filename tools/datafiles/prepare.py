"""Bring the files of one dataset into its folder, and say what a person must do for the rest."""

import os
import shutil
from pathlib import Path

from common.errors import UserError

from .catalogue import CATALOGUE, reader
from .download import Unavailable, fetch, storage_error, wrong_checksum
from .unpack import unpack


def prepare_dataset(name: str, root: Path, from_dir: str | None = None, mirrors: list[str] = ()) -> int:
    """Exit status 0 when nothing is left to do by hand, 1 after printing the manual steps.

    Raises UserError: unknown name, no such ``from_dir``, a refused archive, a full disk.
    """
    kind = reader(name)
    if name not in CATALOGUE:
        raise UserError(f"{name} has nothing to download. Known: {', '.join(CATALOGUE)}")
    if from_dir and not os.path.isdir(os.path.expanduser(from_dir)):
        raise UserError(f"Folder '{from_dir}' of --from-dir does not exist")
    facts, folder, steps = CATALOGUE[name], root / kind.dataset_dir, []
    for file in facts["files"]:
        place = root if file.get("above") else folder
        moves = file.get("moves", [])
        if "above" in file and _filled(folder):
            continue
        wanted = [place / into for _, into in moves] or [folder / file["file"]]
        if all(path.exists() for path in wanted):
            print(f"{name}: {file['file']}: there already")
            continue
        archive = root / ".downloads" / name / file["file"]
        try:
            if not archive.is_file() or wrong_checksum(archive, file.get("checksum")):
                _obtain(file, archive, from_dir, mirrors)
        except Unavailable as error:
            steps.append(_step(file, error, wanted))
            continue
        try:
            for (take, into), target in zip(moves, wanted, strict=bool(moves)):
                if not target.exists():
                    unpack(archive, place, take=take, into=into, nested=file.get("nested", ""))
        except UserError:
            if not file.get("checksum"):  # nothing else says that it is the right one: the next run gets it anew
                archive.unlink(missing_ok=True)
            raise
        if not moves:
            _place(archive, wanted[0])
        archive.unlink(missing_ok=True)
        print(f"{name}: {file['file']}: done")
    if facts["manual"] and (steps or not _filled(folder / getattr(kind, "image_folder", ""))):
        steps.insert(0, facts["manual"])
    if steps:
        print(f"{name}: to do by hand, in {folder} (source: {facts['source']}):")
        for number, step in enumerate(steps, start=1):
            print(f"  {number}. {step}")
        print(f"Then: python tools/data.py check {name} --root {root}")
    return 1 if steps else 0


def _obtain(file: dict, archive: Path, from_dir: str | None, mirrors: list[str]) -> None:
    """Put ``archive`` there: from the user's folder, the mirrors, the sources, Google Drive. Raises Unavailable."""
    given = Path(from_dir).expanduser() / file["file"] if from_dir else None
    if given and given.is_file():
        if problem := wrong_checksum(given, file.get("checksum")):
            raise Unavailable(f"{given}: {problem}")
        _place(given, archive)
        return
    urls = [f"{mirror.rstrip('/')}/{file['file']}" for mirror in mirrors] + file.get("urls", [])
    try:
        fetch(urls, archive, file.get("checksum"))
    except Unavailable:
        if not file.get("drive"):
            raise
        _from_drive(file, archive)


def _from_drive(file: dict, archive: Path) -> None:
    try:
        import gdown  # optional
    except ImportError as error:
        raise Unavailable("it is on Google Drive, and gdown is not installed (pip install gdown)") from error
    part = archive.with_name(archive.name + ".drive")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        done = gdown.download(id=file["drive"], output=str(part), quiet=True)
    except OSError as error:
        if error.errno is not None:
            raise storage_error(error, archive) from error
        raise Unavailable(f"Google Drive: {error}") from error
    except Exception as error:  # gdown has errors of its own, for quotas and missing files
        raise Unavailable(f"Google Drive: {' '.join(str(error).split())}") from error
    if not done:
        raise Unavailable("Google Drive does not serve it")
    os.replace(part, archive)


def _place(source: Path, target: Path) -> None:
    """Copy, under another name until it is complete. Raises UserError."""
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, target) from error


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _step(file: dict, error: Unavailable, wanted: list[Path]) -> str:
    sources = list(file.get("urls", []))
    if file.get("drive"):
        sources.append(f"https://drive.google.com/file/d/{file['drive']}/view")
    check = f" (checksum {file['checksum']})" if file.get("checksum") else ""
    origin = f" from {' or '.join(sources)}" if sources else ""
    places = ", ".join(map(str, wanted))
    return f"Get {file['file']}{check}{origin}; it must give {places}. Then --from-dir FOLDER takes it. ({error})"
