"""Layout ``DIR/<class>/picture.jpg``, without a split."""

import os
from collections import Counter
from collections.abc import Collection, Iterator

from clip_prompts.common.errors import UserError, reading
from clip_prompts.common.text import one_line
from clip_prompts.data.class_folders import IMAGE_SUFFIXES, class_folders

from .listing import Listing, Picture
from .names import name_folders

try:
    from dassl.utils import image_suffixes
except ImportError:  # upstream's Dassl has no such function

    def image_suffixes() -> frozenset[str]:
        """Returns the endings of pictures, in lower case."""
        return frozenset(IMAGE_SUFFIXES)


# Folders that other programs and this one put next to the classes.
NO_CLASSES = ("split_fewshot", "__MACOSX")
LAYOUTS = (
    "ImageFolder takes class folders, train/ val/ test/ of class folders, annotations.csv or .jsonl, a split_*.json, "
    "or, with --source-domains and --target-domains, one folder of class folders per domain."
)
_EMPTY = (
    "Add pictures or remove the folder. If it is a part that holds class folders, call it train, val or test; if it is "
    "a domain, give --source-domains and --target-domains."
)
_RUN_FILES = ("log.txt", "results.json", "sweep.json")


class Skipped:
    """Counts the files that a listing skips."""

    def __init__(self) -> None:
        self.endings: Counter[str] = Counter()
        self.deeper: list[str] = []

    def add_loose(self, root: str, inner: str = "") -> None:
        """Count the pictures that are next to the class folders of ``root/inner``."""
        folder, prefix = os.path.join(root, inner), f"{inner}/" if inner else ""
        self.deeper += [prefix + name for name in sorted(_safe_listdir(folder)) if _is_picture(folder, name)]

    def report(self, folder: str, pictures: list[Picture]) -> Listing:
        """Print one line for files of other kinds, and one for pictures that are too deep; return the listing."""
        if self.endings:
            print(one_line(f"Skipped {_files(self.endings)}"))
        if self.deeper:
            number = "1 picture that is" if len(self.deeper) == 1 else f"{len(self.deeper)} pictures that are"
            print(one_line(f"Skipped {number} not directly in a class folder, such as {self.deeper[0]}"))
        return Listing(f"Folder {folder}", pictures, name_folders(folder, {str(p.key): 0 for p in pictures}))


def list_classes(folder: str, ignored: Collection[str] = ()) -> Listing:
    """List the class folders of ``folder``, without ``ignored`` ones. Raises UserError: none, or an empty one."""
    skipped = Skipped()
    pictures = list(pictures_of(folder, skipped, ignored=ignored))
    skipped.add_loose(folder)
    return skipped.report(folder, pictures)


def pictures_of(
    root: str, skipped: Skipped, inner: str = "", part: str = "", domain: str = "", ignored: Collection[str] = ()
) -> Iterator[Picture]:
    """Yield the pictures of the class folders in ``root/inner``, by class and name. Raises UserError."""
    folder = os.path.join(root, inner).rstrip(os.sep)
    prefix = f"{inner}/" if inner else ""
    for key in class_folders(folder, (*NO_CLASSES, *ignored), LAYOUTS):
        for name in _picture_names(folder, key, skipped):
            yield Picture(f"{prefix}{key}/{name}", key, part, domain)


def run_folders(folder: str, output_dir: str = "") -> list[str]:
    """Returns the names of folders in ``folder`` that hold runs of this program instead of a class.

    These are ``output_dir``, and folders without pictures of their own that contain it or files of a run.
    Raises UserError: ``output_dir`` is ``folder`` itself.
    """
    out = os.path.join(os.path.realpath(output_dir), "") if output_dir else ""
    if out == os.path.join(os.path.realpath(folder), ""):
        raise UserError(f"The output folder {output_dir} is the folder of the pictures. Choose another --output-dir.")
    found = []
    for name in class_folders(folder, hint=LAYOUTS, none_is_fine=True):
        path = os.path.join(folder, name)
        real = os.path.join(os.path.realpath(path), "")
        holds_out = out.startswith(real) and not any(_is_picture(path, each) for each in _safe_listdir(path))
        if out == real or holds_out or _holds_run(path):
            found.append(name)
    return found


def _holds_run(folder: str) -> bool:
    """Returns True if there are files of a run in a folder, not counting folders with pictures."""
    for path, folders, files in os.walk(folder):
        if any(_is_picture(path, name) for name in files):
            folders.clear()
        elif any(name in _RUN_FILES for name in files):
            return True
    return False


def _picture_names(folder: str, key: str, skipped: Skipped) -> list[str]:
    """Returns the names of pictures in a class folder, sorted, without hidden ones. Raises UserError for none."""
    path = os.path.join(folder, key)
    names: list[str] = []
    endings: Counter[str] = Counter()
    deeper: list[str] = []
    with reading(f"Class folder {path}", _EMPTY), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                inside = (name for name in _safe_listdir(entry.path) if _is_picture(entry.path, name))
                deeper += [f"{key}/{entry.name}/{name}" for name in inside]
            elif _ending(entry.name).lower() in image_suffixes() and entry.is_file():
                names.append(entry.name)
            elif not os.path.exists(entry.path):
                raise UserError(f"{entry.path} is a link to an image that does not exist. {_EMPTY}")
            else:  # of another kind, or a special file
                endings[_ending(entry.name)] += 1
    if not names:
        there = ""
        if deeper:
            there = f", but {len(deeper)} one folder deeper, such as {sorted(deeper)[0]}: move them into {key}/"
        elif endings:
            there = f", but {_files(endings)}"
        raise UserError(f"Class folder {path} holds no images{there}. {_EMPTY}")
    skipped.endings += endings
    skipped.deeper += sorted(deeper)
    return sorted(names)


def _files(endings: Counter) -> str:
    """ "40 files that are not read as pictures: .HEIC 40", and the hint where there is one."""
    each = ", ".join(f"{ending or 'no ending'} {count}" for ending, count in sorted(endings.items()))
    number = sum(endings.values())
    heic = any(ending.lower() in (".heic", ".heif") for ending in endings)
    hint = ". To read HEIC: pip install pillow-heif" if heic else ""
    files = "1 file that is not read as a picture" if number == 1 else f"{number} files that are not read as pictures"
    return f"{files}: {each}{hint}"


def _ending(name: str) -> str:
    return os.path.splitext(name)[1]


def _is_picture(folder: str, name: str) -> bool:
    picture = _ending(name).lower() in image_suffixes() and not name.startswith(".")
    return picture and os.path.isfile(os.path.join(folder, name))


def _safe_listdir(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
