"""What is there of a dataset: built by its own reader, compared with the published counts."""

import os
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO

from dassl.config import get_cfg_default
from PIL import Image
from tqdm import tqdm

import datasets
from common.errors import UserError
from datasets.core import GeneratedDataset

from .catalogue import CATALOGUE, reader


@dataclass
class State:
    """``status`` is ready, partial or absent; ``counts`` are of train, val and test (None: not read)."""

    name: str
    status: str = "absent"
    missing: list[str] = field(default_factory=list)
    counts: list[int] | None = None
    classes: int | None = None
    unreadable: list[str] = field(default_factory=list)
    split: str = ""
    sha256: str = ""


def build(name: str, root: str, shots: int = -1, seed: int = 1):
    """The dataset ``name`` below ``root``, all classes; no split file is written. Raises UserError."""
    kind = reader(name)
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    cfg.SEED = seed
    cfg.DATASET.NAME = name
    generated = issubclass(kind, GeneratedDataset)
    cfg.DATASET.ROOT = "" if generated else os.path.abspath(os.path.expanduser(root))
    cfg.DATASET.NUM_SHOTS = shots
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    if not generated:
        kind = type(kind.__name__, (kind,), {"save_split": staticmethod(lambda *args, **kwargs: None)})
    with redirect_stdout(StringIO()):
        return kind(cfg)


def examine(name: str, root: str, deep: bool = False) -> State:
    """The state of one dataset; ``deep`` opens every image. Raises UserError for an unknown name only."""
    kind, state = reader(name), State(name)
    folder = os.path.join(os.path.abspath(os.path.expanduser(root)), kind.dataset_dir)
    split_file = getattr(kind, "split_file", "")
    released = bool(split_file) and os.path.isfile(os.path.join(folder, split_file))  # before the reader writes it
    try:
        data = build(name, root)
    except UserError as error:
        state.missing.append(str(error))
        state.status = "partial" if os.path.isdir(folder) and os.listdir(folder) else "absent"
        return state
    state.counts = [len(data.train_x), len(data.val or ()), len(data.test)]
    state.classes = data.num_classes
    state.sha256 = getattr(data, "split_sha256", "")
    generated = issubclass(kind, GeneratedDataset)
    state.split = "generated" if generated else split_file if released else "made here" if split_file else "official"
    facts = CATALOGUE.get(name)
    if facts:
        pairs = zip(("train", "val", "test"), state.counts, facts["counts"], strict=True)
        state.missing += [f"{part}: {n} of {known} images" for part, n, known in pairs if known not in (None, n)]
        if state.classes != facts["classes"]:
            state.missing.append(f"{state.classes} of {facts['classes']} classes")
    if deep:
        paths = sorted({item.impath for part in (data.train_x, data.val or (), data.test) for item in part})
        state.unreadable = [path for path in tqdm(paths, desc=name, disable=None) if not readable(path)]
        state.missing += [f"unreadable: {path}" for path in state.unreadable]
    state.status = "partial" if state.missing else "ready"
    return state


def readable(path: str) -> bool:
    """Whether the whole image can be decoded."""
    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
