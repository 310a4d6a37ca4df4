"""Preparation of one dataset: fetches its files and prints the steps that only a person can do."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from clip_prompts.common.errors import UserError

from .catalogue import CATALOGUE, alternatives, is_there, reader, targets
from .download import Unavailable, fetch, storage_error, wrong_checksum
from .state import State, examine, print_states
from .unpack import unpack


def prepare_dataset(name: str, root: Path, from_dir: str | None = None, mirrors: list[str] = ()) -> int:
    """Fetch what is missing, examine the dataset as ``check`` does and print its row.

    Exit status 0 when the dataset is ready, 1 after printing what a person must do.
    Raises UserError: unknown name, no such ``from_dir``, a refused archive, a full disk.
    """
    kind = reader(name)
    if name not in CATALOGUE:
        raise UserError(f"{name} has nothing to download. Known: {', '.join(CATALOGUE)}")
    if from_dir and not os.path.isdir(os.path.expanduser(from_dir)):
        raise UserError(f"Folder '{from_dir}' of --from-dir does not exist")
    folder, failed, kept = root / kind.dataset_dir, {}, []
    state = examine(name, str(root))
    for file in CATALOGUE[name]["files"]:
        if is_there(file, folder):
            kept += [path for path in targets(file, folder) if path.exists()]
            print(f"{name}: {file['file']}: there already")
        elif state.status != "ready" or file["file"] == kind.split_file:  # the released split is better than ours
            try:
                kept += [path for path in targets(file, folder) if path.exists()]
                _bring(name, file, root, from_dir, mirrors)
                print(f"{name}: {file['file']}: done")
            except Unavailable as error:
                failed[file["file"]] = _step(file, error, targets(file, folder))
    state = examine(name, str(root))
    print_states([state])
    if state.status == "ready":
        _say_notes(state, failed, folder / kind.split_file)
        return 0
    print(f"{name}: to do by hand, in {folder} (source: {CATALOGUE[name]['source']}):")
    images = folder / kind.image_folder
    steps = _steps(name, failed, kept, has_images=images.is_dir() and any(images.iterdir()))
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}")
    print(f"Then: python tools/data.py check {name} --root {shlex.quote(str(root))}")
    return 1


def _say_notes(state: State, failed: dict[str, str], split: Path) -> None:
    for file, step in failed.items():
        if file == split.name:
            print(f"{state.name}: note: to use the released split: {step}")
        else:
            print(f"{state.name}: note: {file} is not there; what is there does without it")
    if state.split == "made here" and split.is_file():
        print(
            f"{state.name}: note: {split} was made by an earlier run, perhaps results rest on it. To use the released "
            "split, move it away and run the same command again"
        )


def _steps(name: str, failed: dict[str, str], kept: list[Path], has_images: bool) -> list[str]:
    """Returns the steps for a person if the dataset is not ready."""
    steps = list(failed.values())
    if CATALOGUE[name]["manual"] and not (failed and has_images):
        steps.insert(0, CATALOGUE[name]["manual"])
    if kept:
        steps.append(
            f"{', '.join(map(str, kept))}: there before, and left as it is. What is incomplete or of another release, "
            "move away; then run the same command again, which fetches it."
        )
    elif not steps:
        steps.append("All was fetched, but it is not the release that is expected: see above for what differs.")
    return steps + [f"Or: {text}." for text in alternatives(name)]


def _bring(name: str, file: dict, root: Path, from_dir: str | None, mirrors: list[str]) -> None:
    """Put what one entry of the catalogue brings into the dataset's folder. Raises Unavailable and UserError."""
    dataset_dir = reader(name).dataset_dir
    archive = root / ".downloads" / name / file["file"]
    given = _given(file, dataset_dir, from_dir)
    if given is None and (not archive.is_file() or wrong_checksum(archive, file.get("checksum"))):
        urls = [f"{m.rstrip('/')}/{path}" for m in mirrors for path in (file["file"], f"{dataset_dir}/{file['file']}")]
        try:
            fetch(urls + file.get("urls", []), archive, file.get("checksum"))
        except Unavailable as error:
            if not file.get("drive"):
                raise
            try:
                _from_drive(file, archive)
            except Unavailable as last:
                raise Unavailable(f"{error}; {last}" if urls or file.get("urls") else str(last)) from last
    if "moves" not in file:
        _copy(given or archive, targets(file, root / dataset_dir)[0])
    else:
        print(f"{name}: unpacking {given or archive}")
        try:
            unpack(given or archive, root / dataset_dir, file["moves"], file.get("nested", ""))
        except UserError:
            if not file.get("checksum"):  # it may be the wrong file: the next run fetches it again
                archive.unlink(missing_ok=True)
            raise
    archive.unlink(missing_ok=True)


def _given(file: dict, dataset_dir: str, from_dir: str | None) -> Path | None:
    """Returns the user's own copy of a file, if there is one. Raises Unavailable for one with another checksum."""
    top = Path(from_dir or ".").expanduser()
    places = [top / file["file"], top / dataset_dir / file["file"]] if from_dir else []
    given = next((place for place in places if place.is_file()), None)
    if given and (problem := wrong_checksum(given, file.get("checksum"))):
        raise Unavailable(f"{given}: {problem}")
    return given


def _from_drive(file: dict, archive: Path) -> None:
    try:
        import gdown  # optional
    except ImportError as error:
        raise Unavailable("it is on Google Drive, and gdown is not installed (pip install gdown)") from error
    part = archive.with_name(archive.name + ".drive")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        done = gdown.download(id=file["drive"], output=str(part), quiet=not sys.stderr.isatty())
    except OSError as error:
        if error.errno is not None:
            raise storage_error(error, archive) from error
        raise Unavailable(f"Google Drive: {error}") from error
    except Exception as error:  # gdown has errors of its own, for quotas and missing files
        raise Unavailable(f"Google Drive: {' '.join(str(error).split())}") from error
    if not done:
        raise Unavailable("Google Drive does not serve it")
    if problem := wrong_checksum(part, file.get("checksum")):
        part.unlink()
        raise Unavailable(f"Google Drive: {problem}")
    os.replace(part, archive)


def _copy(source: Path, target: Path) -> None:
    """Copy, under another name until it is complete. Raises UserError."""
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, target) from error


def _step(file: dict, error: Unavailable, wanted: list[Path]) -> str:
    """Returns the step to get a file that could not be fetched."""
    sources = list(file.get("urls", []))
    if file.get("drive"):
        sources.append(f"https://drive.google.com/file/d/{file['drive']}/view")
    check = f" (checksum {file['checksum']})" if file.get("checksum") else ""
    origin = f" from {' or '.join(sources)}" if sources else ""
    places = ", ".join(map(str, wanted))
    return f"Get {file['file']}{check}{origin}; it must give {places}. Then --from-dir FOLDER takes it. ({error})"
