"""Datasets with pictures that the reader makes itself: there is nothing to download."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import read_json
from clip_prompts.common.places import user_cache_dir
from clip_prompts.common.random_states import unchanged_random_states

from .benchmark import BenchmarkDataset
from .split_file import PARTS, Row, write_rows

MARKER = "generated.json"


class GeneratedDataset(BenchmarkDataset):
    """A dataset that is written once, on first use, below ``DATASET.ROOT`` or the user's cache folder.

    A subclass sets, besides what :class:`BenchmarkDataset` asks for (``dataset_dir``, ``split_file``,
    ``template``; ``image_folder`` is ``images`` unless it says otherwise):

    - ``version``: a whole number, raised whenever ``generate`` makes other pictures or another split; an older
      folder is then replaced;
    - ``test_only = True`` for a variant that is only tested on: the test list is used for training too (so that class
      names exist), and val is empty;
    - ``generate(folder)``: writes the pictures into the existing, empty ``folder`` (sub-folders are its own
      affair) and returns ``{"train": rows, "val": rows, "test": rows}``, each row ``(path relative to folder with
      "/" between the parts, label from 0, class name)``. A part may be missing; a ``test_only`` variant returns
      only ``test``. It must give the same on every run and draw from no global generator.

    The split file and a marker with the version are written next to the pictures by this class. The folder is
    built under another name and renamed when complete, so an interrupted run leaves nothing half-made and two
    processes may start at once.

    Example::

        @DATASET_REGISTRY.register()
        class Stripes(GeneratedDataset):
            dataset_dir = "stripes"
            split_file = "split_Stripes.json"
            template = "a photo of {}."

            def generate(self, folder: Path) -> dict:
                for i in range(2):
                    draw_stripes(folder / f"red_{i}.png")
                return {"train": [("red_0.png", 0, "red")], "test": [("red_1.png", 0, "red")]}
    """

    version = 1
    image_folder = "images"

    def has_own_pictures(self):
        return False

    def generate(self, folder: Path) -> dict[str, Sequence[Row]]:
        """Write the pictures into ``folder`` and return the rows of the split; see the class."""
        raise NotImplementedError

    def find_dataset_dir(self, root: str) -> str:
        """Returns the dataset's folder, made if there is none: below ``root``, else below the user's cache folder."""
        name = type(self).__name__
        marker = {"dataset": name, "version": self.version}
        homes = [Path(os.path.abspath(os.path.expanduser(root)))] if root else []
        if homes and not self.writes_files and _read_marker(folder := homes[0] / type(self).dataset_dir) != marker:
            _refuse_foreign(folder, marker)  # as a run would
            homes = []
        homes.append(user_cache_dir() / "datasets")
        failures = []
        for home in homes:
            folder = home / type(self).dataset_dir
            try:
                make_once(folder, marker, self._build)
                return str(folder)
            except OSError as error:  # read-only, or a file where a folder should be: try the next place
                failures.append(f"{folder}: {error.strerror or error}")
        raise UserError(
            f"The pictures of {name} cannot be written anywhere ({'; '.join(failures)}). Set DATASET.ROOT to a "
            "writable folder."
        )

    def _build(self, folder: Path) -> None:
        print(f"Making the pictures of {type(self).__name__} (once)")
        images = folder / self.image_folder
        images.mkdir(parents=True, exist_ok=True)
        with unchanged_random_states():  # packages may draw when they are imported: scikit-learn does
            rows = self.generate(images)
        if extra := set(rows) - set(PARTS):
            raise ValueError(f"{type(self).__name__}.generate returned unknown parts: {sorted(extra)}")
        write_rows(rows, folder / self.split_file)

    def missing_hint(self) -> str:
        return f"Delete the folder {self.dataset_dir} and run again: it is then made again."


def make_once(folder: Path, marker: dict, build: Callable[[Path], None]) -> None:
    """Make sure that ``folder`` holds the output of ``build``; a file with ``marker`` says so.

    Builds under a name of its own and renames. Raises OSError where nothing can be written, UserError when a
    folder of that name holds something else.
    """
    if _read_marker(folder) == marker:
        return
    _refuse_foreign(folder, marker)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(f".{folder.name}-{os.getpid()}-{uuid.uuid4().hex}")
    old = work.with_name(work.name + ".old")
    try:
        work.mkdir()
        build(work)
        (work / MARKER).write_text(json.dumps(marker), encoding="utf-8")
        try:
            os.rename(work, folder)
        except OSError:
            if _read_marker(folder) == marker:  # another process was first
                return
            with suppress(FileNotFoundError):  # another process moves it away too
                os.rename(folder, old)  # an older version of ours
            os.rename(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _read_marker(folder: Path) -> dict | None:
    try:
        return read_json(folder / MARKER)
    except (OSError, ValueError):
        return None


def _refuse_foreign(folder: Path, marker: dict) -> None:
    """Never replace a folder that this program did not make."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    found = _read_marker(folder)
    if not isinstance(found, dict) or found.get("dataset") != marker["dataset"]:
        raise UserError(
            f"{folder} exists but does not belong to {marker['dataset']}. Move it away or choose another DATASET.ROOT."
        )
