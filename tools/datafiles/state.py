"""The state of a dataset: built by its own reader, compared with the published counts, and printed."""

import os
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from dassl.config import get_cfg_default
from tabulate import tabulate

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line
from clip_prompts.data import GeneratedDataset
from clip_prompts.data.config import add_config
from clip_prompts.data.readable import find_unreadable
from clip_prompts.data.split_file import is_made_here
from clip_prompts.run.config import merge_file
from clip_prompts.run.errors import USER_ERRORS

from .catalogue import CATALOGUE, is_there, reader, targets

HEAD = ["dataset", "state", "train", "val", "test", "classes", "unreadable", "split", "sha256"]
MOST = 10  # printed lines of one dataset


@dataclass
class State:
    """``status`` is ready, partial or absent; ``counts`` are of train, val and test (None: not read).

    ``split`` says which one is used: "released" (CoOp's file), "made here" (by the published rule), "official" (the
    dataset's own lists), "generated", or "other" (a split file with other counts than the released one).
    ``notes`` are for a dataset that is ready all the same.
    """

    name: str
    status: str = "absent"
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: list[int] | None = None
    classes: int | None = None
    unreadable: list[str] = field(default_factory=list)
    split: str = ""
    sha256: str = ""


def build(name: str, root: str, shots: int = -1, seed: int = 1, config_file: str = ""):
    """Returns the dataset ``name`` below ``root``, all classes; nothing is written into its folder.

    ``config_file``: YAML with further settings of ``DATASET``, as those of ImageFolder. Raises UserError.
    """
    kind = reader(name)
    cfg = get_cfg_default()
    add_config(cfg)
    if config_file:
        merge_file(cfg, config_file)
        if cfg.DATASET.NAME not in ("", name):
            raise UserError(
                f"Config file '{config_file}' is for {cfg.DATASET.NAME}, not for {name}. Give the config file of "
                f"{name}."
            )
    cfg.SEED = seed
    cfg.DATASET.NAME = name
    cfg.DATASET.ROOT = root
    cfg.DATASET.NUM_SHOTS = shots
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    kind = type(kind.__name__, (kind,), {"writes_files": False})
    with redirect_stdout(StringIO()):
        return kind(cfg)


def examine(name: str, root: str, deep: bool = False) -> State:
    """Returns the state of one dataset; ``deep`` opens every image. Raises UserError for an unknown name only."""
    kind, state = reader(name), State(name)
    folder = Path(os.path.abspath(os.path.expanduser(root)), kind.dataset_dir)
    facts = CATALOGUE.get(name, {})
    try:
        data = build(name, root)
    except (*USER_ERRORS, OSError) as error:
        state.missing.append(str(error))
        if folder.is_dir() and any(folder.iterdir()):
            state.status = "partial"
            state.missing += _lacking(facts, kind, folder)
        return state
    state.counts = [len(data.train_x), len(data.val or ()), len(data.test)]
    if getattr(data, "test_only", False):
        state.counts[0] = 0  # the reader uses the test list for training
    state.classes = data.num_classes
    state.sha256 = getattr(data, "split_sha256", "")
    if facts:
        pairs = zip(("train", "val", "test"), state.counts, facts["counts"], strict=True)
        state.missing += [f"{part}: {n} of {known} images" for part, n, known in pairs if known not in (None, n)]
        if state.classes != facts["classes"]:
            state.missing.append(f"{state.classes} of {facts['classes']} classes")
    state.split = _split_used(data, kind, agrees=bool(facts) and not state.missing)
    if state.split == "made here" and not state.missing:
        state.notes.append(
            f"the split is made by the published rule; published numbers use the released one, {kind.split_file}"
        )
    if deep:
        images = {item.impath: item for part in (data.train_x, data.val or (), data.test) for item in part}
        state.unreadable = sorted(find_unreadable(images.values()))
        state.missing += [f"unreadable: {path}" for path in state.unreadable]
    state.status = "partial" if state.missing else "ready"
    return state


def _split_used(data, kind: type, agrees: bool) -> str:
    """Returns the kind of split. ``agrees``: the counts are the published ones."""
    if issubclass(kind, GeneratedDataset):
        return "generated"
    path = getattr(data, "split_path", "")
    if not path:
        return "official"
    if not os.path.isfile(path) or is_made_here(path):
        return "made here"
    return "released" if agrees else "other"


def _lacking(facts: dict, kind: type, folder: Path) -> list[str]:
    """Returns a line for every published file that a folder lacks."""
    files = [file for file in facts.get("files", []) if not is_there(file, folder)]
    names = [str(path) for file in files for path in targets(file, folder) if not path.exists()]
    split = str(folder / kind.split_file) if kind.split_file else ""
    return [f"not there: {name}" + (" (the released split)" if name == split else "") for name in names]


def print_states(states: list[State], deep: bool = False) -> None:
    """Print a row per state with the published numbers, then missing files and notes; ``deep``: images were opened."""
    rows = []
    for state in states:
        facts = CATALOGUE.get(state.name, {})
        known = facts.get("counts", [None] * 3)
        counts = [f"{n}/{'-' if k is None else k}" for n, k in zip(state.counts or ["-"] * 3, known, strict=True)]
        classes = f"{state.classes or '-'}/{facts.get('classes', '-')}"
        unreadable = len(state.unreadable) if deep and state.counts else "-"
        last = [classes, unreadable, state.split or "-", state.sha256[:12] or "-"]
        rows.append([state.name, state.status, *counts, *last])
    print(tabulate(rows, headers=HEAD, tablefmt="github", disable_numparse=True))
    for state in states:
        for line in state.missing[:MOST]:
            print(one_line(f"{state.name}: {line}"))
        if len(state.missing) > MOST:
            print(f"{state.name}: and {len(state.missing) - MOST} more")
        for line in state.notes:
            print(one_line(f"{state.name}: note: {line}"))
