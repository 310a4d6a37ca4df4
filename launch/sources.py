"""``sources.json``: the files that a run has read, for whoever wants to know later whether one of them has changed.

Imports nothing heavy, so that tools can use it.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from common.files import write_text_atomically

from .source_code import source_file

FILE = "sources.json"


def write_sources(folder: str, trainer: object, cfg, files: Iterable[str | os.PathLike | None]) -> None:
    """Write the file into a run's folder, or remove it if images lie outside the dataset's folder.

    Args:
        trainer: built, with ``dm.dataset``. cfg: its config. files: that the run has read, beside Python code, the
            dataset's folder and what the config names.
    """
    dataset = getattr(getattr(trainer, "dm", None), "dataset", None)
    top = os.path.abspath(getattr(dataset, "dataset_dir", "") or "")
    items = [item for part in ("train_x", "train_u", "val", "test") for item in getattr(dataset, part, None) or []]
    path = Path(folder) / FILE
    if not getattr(dataset, "dataset_dir", "") or not all(item.impath.startswith(top + os.sep) for item in items):
        path.unlink(missing_ok=True)
        return
    code = {str(found) for name in list(sys.modules) if (found := source_file(name))}
    named = [*files, cfg.MODEL.INIT_WEIGHTS, cfg.DATASET.get("SHOTS_FILE", ""), getattr(trainer, "backbone_path", "")]
    named += [getattr(dataset, name, "") for name in ("list_file", "selection_file")]
    read = {os.path.abspath(os.path.expanduser(file)) for file in named if file}
    write_text_atomically(path, json.dumps({"folders": [top], "files": sorted(code | read)}, indent=1) + "\n")
