"""Unpacking of untrusted tar and zip archives: every member is checked, and nothing is in place before all of it is."""

import os
import shutil
import stat
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from clip_prompts.common.errors import UserError, reading
from clip_prompts.common.files import open_regular

from .download import CHUNK, storage_error


def unpack(archive: Path, folder: Path, moves: Sequence[tuple[str, str]], nested: str = "") -> None:
    """Bring parts of ``archive`` into ``folder``; what is there already stays as it is.

    Args:
        moves: (name, place) pairs: a folder or file inside the archive, at whatever depth, and its name in
            ``folder``; "." puts a folder's content there.
        nested: the name of an archive inside the archive that holds them.

    Raises UserError: not an archive, a member that would land outside, a full disk, a wanted member that is missing.
    """
    work = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
        content = work / "all"
        _extract(archive, content)
        if nested:
            inner, content = _find(content, nested, archive), work / "inner"
            _extract(inner, content)
        place = []
        for name, into in moves:
            source = _find(content, name, archive)
            place += [(e, folder / e.name) for e in source.iterdir()] if into == "." else [(source, folder / into)]
        for entry, _ in place:
            _check_links(entry, archive)
        for entry, target in place:
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(entry, target)
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)


def _find(folder: Path, name: str, archive: Path) -> Path:
    """Returns the least deep file or folder ``name``: archives have folders of various names around it."""
    level = [folder]
    while level:
        found = [parent / name for parent in level if (parent / name).exists()]
        if len(found) > 1:
            raise UserError(f"Archive {archive} holds several {name}: it is not the release that is expected")
        if found:
            return found[0]
        entries = [entry for parent in level for entry in os.scandir(parent)]
        level = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and e.name != "__MACOSX"]
    raise UserError(
        f"Archive {archive} holds no {name}, so it is not the expected release. Remove it and fetch it again"
    )


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir()
    _check_file(archive)
    try:
        if tarfile.is_tarfile(archive):

            def checked(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
                _check(member.name, archive, member.isreg() or member.isdir() or member.issym() or member.islnk())
                return tarfile.data_filter(member, path)  # refuses links out of the archive, too

            with tarfile.open(archive) as file:
                file.extractall(folder, filter=checked)
                while file.fileobj.read(CHUNK):  # to the end, where compression keeps its own checksum
                    pass
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                for info in file.infolist():
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    _check(info.filename, archive, kind in (0, stat.S_IFREG, stat.S_IFDIR))
                file.extractall(folder)
        else:
            raise UserError(f"{archive} is neither a tar nor a zip archive. Remove it and fetch it again")
    except tarfile.FilterError as error:
        raise UserError(f"Archive {archive} is refused: {error}") from error
    except Exception as error:  # the formats' libraries let errors of many kinds out
        of_disk = isinstance(error, OSError) and error.errno is not None  # not of the decompression
        if of_disk or isinstance(error, UserError):
            raise
        raise UserError(f"Archive {archive} is damaged ({error}). Remove it and fetch it again") from error


def _check_file(archive: Path) -> None:
    with reading(f"Archive {archive}"), open_regular(archive, sys.maxsize) as file:
        head = file.read(512)
    if not head.strip(b"\0"):  # xz would skip zeros without end
        raise UserError(f"{archive} is neither a tar nor a zip archive. Remove it and fetch it again")


def _check(name: str, archive: Path, plain: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise UserError(f"Archive {archive} is refused: its member '{name}' would be written outside the folder")
    if not plain:
        raise UserError(f"Archive {archive} is refused: its member '{name}' is a device or a link")


def _check_links(entry: Path, archive: Path) -> None:
    """Refuse links that lead out of ``entry``, which is moved to another place."""
    top = os.path.realpath(entry)
    paths = [entry, *(Path(base) / n for base, folders, files in os.walk(entry) for n in [*folders, *files])]
    for path in paths:
        if path.is_symlink() and (path == entry or not os.path.realpath(path).startswith(top + os.sep)):
            raise UserError(f"Archive {archive} is refused: its link '{path.name}' points outside of '{entry.name}'")
