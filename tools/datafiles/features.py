"""Image features of a dataset as NumPy archives, in the layout of CoOp's ``lpclip/feat_extractor.py``."""

import os
import uuid
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
from dassl.utils import set_random_seed
from tqdm import tqdm

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import replace_durably
from clip_prompts.common.method_facts import FOLDER
from clip_prompts.common.yaml_files import read_yaml
from clip_prompts.data import GeneratedDataset
from clip_prompts.records.upstream import build_trainer
from clip_prompts.run import arguments
from clip_prompts.run.checkout import load_checkout
from clip_prompts.run.checks import check_config
from clip_prompts.run.config import build_config

from .catalogue import reader

load_checkout("trainers")  # registers the linear probe

SPLITS = ("train", "val", "test")
PROBE = "LinearProbe"  # its backbone, transform, precision and feature cache are those of every run


def export_features(
    name: str, root: str, output: str, backbone: str = "", splits: Sequence[str] = (), config_file: str = "",
    settings: Sequence[str] = (),
) -> list[Path]:  # fmt: skip
    """Write OUTPUT/NAME/{train,val,test}.npz and return their paths.

    Each has ``feature_list`` (N, D), float32, not normalized, and ``label_list`` (N,), int64, of all images of the
    split in the order of its list, under the transform of testing.

    Args:
        backbone: by name or file; "": tiny for embedded data, else RN50 as upstream. splits: () for all there are.
        config_file: YAML with settings of the dataset. settings: KEY VALUE pairs, as ``train.py`` takes them.

    Raises UserError: an unknown dataset, backbone or setting, or a split that the dataset lacks.
    """
    default = "tiny" if issubclass(reader(name), GeneratedDataset) else "RN50"
    flags = {"--dataset-config-file": config_file, "--root": root, "--backbone": backbone or default}
    given = [part for flag, value in flags.items() if value for part in (flag, value)]
    config = ["--trainer", PROBE, "--config-file", str(_method_file(backbone or default))]
    own = ["DATASET.NAME", name, "SEED", "1", "VERBOSE", "False"]
    cfg = build_config(arguments.parse([*config, *given, *own, *settings]))
    check_config(cfg)
    set_random_seed(cfg.SEED)
    with redirect_stdout(StringIO()):
        trainer = build_trainer(cfg)
    data = trainer.dm.dataset
    lists = {"train": None if getattr(data, "test_only", False) else data.train_x, "val": data.val, "test": data.test}
    there = [split for split in SPLITS if lists[split]]
    if lacking := [split for split in splits if split not in there]:
        raise UserError(f"{name} has no {lacking[0]} images. Choose from: {', '.join(there)}")
    written = []
    for split in splits or there:
        features, labels = trainer.features_of(lists[split], partial(tqdm, desc=split, leave=False))
        written.append(Path(output).expanduser() / name / f"{split}.npz")
        _write(written[-1], features, labels)
        print(f"{split}: {len(labels):,} features of {features.shape[1]} numbers in {written[-1]}")
    return written


def _method_file(backbone: str) -> Path:
    """Returns the linear probe's YAML for a backbone; that of RN50 if it has none."""
    files = sorted((FOLDER / PROBE).glob("*.yaml"))
    own = (file for file in files if read_yaml(file)["MODEL"]["BACKBONE"]["NAME"] == backbone)
    return next(own, FOLDER / PROBE / "rn50.yaml")


def _write(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    """Write an archive so that a reader sees all of it or nothing. It may be too large to be made in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            np.savez(file, feature_list=features, label_list=labels)
        replace_durably(part, path)
    finally:
        part.unlink(missing_ok=True)
