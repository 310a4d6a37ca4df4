"""Unpack tar and zip archives of strangers: every member is checked before the first byte is written."""

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from common.errors import UserError

from .download import storage_error


def unpack(archive: Path, folder: Path, take: str = "", into: str = "", nested: str = "") -> None:
    """Put the content of ``archive`` into ``folder``; nothing appears there before all of it is unpacked.

    Args:
        take: the folder or file inside the archive that is wanted ("" for everything).
        into: the name that it gets in ``folder`` ("" for its content right there).
        nested: an archive inside the archive, which is unpacked in its place.

    Raises:
        UserError: not an archive, a member that would land outside, a full disk, a wanted member that is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        _extract(archive, work / "all")
        content = work / "all"
        if nested:
            inner = content / nested
            if not inner.is_file():
                raise UserError(f"Archive {archive} holds no {nested}: it is not the release that is expected")
            _extract(inner, work / "inner")
            content = work / "inner"
        source = content / take
        if not source.exists():
            raise UserError(f"Archive {archive} holds no {take}: it is not the release that is expected")
        place = [(source, folder / into)] if into else [(entry, folder / entry.name) for entry in source.iterdir()]
        for _, target in place:
            if target.exists():
                raise UserError(f"{target} is there already. Move it away, then run the same command again")
        for entry, target in place:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(entry, target)
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir()
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                for member in file:
                    _check(member.name, archive, member.isreg() or member.isdir() or member.issym() or member.islnk())
                file.extractall(folder, filter="data")  # refuses links out, too
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                for info in file.infolist():
                    mode = info.external_attr >> 16
                    kind = stat.S_IFMT(mode)
                    _check(info.filename, archive, kind in (0, stat.S_IFREG, stat.S_IFDIR))
                file.extractall(folder)
        else:
            raise UserError(f"{archive} is neither a tar nor a zip archive. Remove it and fetch it again")
    except tarfile.FilterError as error:
        raise UserError(f"Archive {archive} is refused: {error}") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"Archive {archive} is damaged ({error}). Remove it and fetch it again") from error


def _check(name: str, archive: Path, plain: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise UserError(f"Archive {archive} is refused: its member '{name}' would land outside the folder")
    if not plain:
        raise UserError(f"Archive {archive} is refused: its member '{name}' is a device or a link")
