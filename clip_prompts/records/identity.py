"""The identity of a run: all that determines its result, as one flat mapping from names to plain values.

Names are ``settings.KEY``, ``data.LIST``, ``weights.PART``, ``code.MODULE``, ``version.PACKAGE`` and ``precision``. Two
runs with equal mappings give equal numbers. Every checkpoint stores the identity of the run that wrote it, and so does
``identity.json`` in the run's output folder.
"""

import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import write_text_atomically
from clip_prompts.common.text import one_line, shown
from clip_prompts.common.trees import branch, flat

from .image_lists import LISTS, ImageHash, data_of
from .settings import FILE_SETTINGS, IRRELEVANT_SETTINGS
from .source_code import code_of, file_hashes
from .sources import dataset_of, source_file
from .stored_identity import FILE, WAYS_ON, determines_of, facts_of

TRAINED_IMAGES = "trained_images.txt"  # per image its two hashes, see ImageHash
# Settings that act in training only. An evaluation takes them from the checkpoint unless the user states them.
_TRAINING = ("SEED", "OPTIM.", "TRAIN.", "FEATURES.TRAIN_VIEWS", "INPUT.")
# Settings of INPUT that the test transform reads too.
_TEST_INPUT = ("INPUT.SIZE", "INPUT.INTERPOLATION", "INPUT.PIXEL_MEAN", "INPUT.PIXEL_STD", "INPUT.NO_TRANSFORM")
# Settings in which an evaluation may differ from the training of the model that it loads.
_FREE_IN_EVALUATION = ("DATASET.", "DATALOADER.", "TEST.", "FEATURES.")


@dataclass
class Identity:
    """The identity of the run that is about to start.

    Args:
        determines: name -> plain value, see the module.
        facts: further facts of the run, for a program that loads its checkpoint; never compared.
        stated: config key -> "command line" or "config file", the last place that states it, see
            :meth:`check_loaded`.
        lists: ``data.*`` of all lists, also of those that do not determine an evaluation.
        trained_images, test_images: of the training and the test list.
    """

    determines: dict[str, object]
    facts: dict[str, Any]
    stated: dict[str, str] = field(default_factory=dict)
    lists: dict[str, str | None] = field(default_factory=dict)
    trained_images: Sequence[ImageHash] = ()
    test_images: Sequence[ImageHash] = ()

    @property
    def content(self) -> dict:
        """Plain data, as checkpoints and ``identity.json`` store it."""
        return {"format": 1, "determines": self.determines, "facts": self.facts}

    @property
    def sha256(self) -> str:
        return digest(self.determines)

    @property
    def code_files(self) -> list[Path]:
        """The files of ``code.*``."""
        found = (source_file(name.removeprefix("code.")) for name in self.determines if name.startswith("code."))
        return [path for path in found if path]

    def check_resumed(self, stored: object, place: str) -> None:
        """Raise UserError unless a checkpoint's stored identity is this run's. ``place`` names the checkpoint."""
        theirs = determines_of(stored)
        if theirs is None:
            raise UserError(
                f"{place} does not say how it was trained (an earlier version or another program wrote it), so it "
                f"cannot be continued. {WAYS_ON}"
            )
        if difference := first_difference(theirs, self.determines):
            raise UserError(f"{place} is of another run: {difference}. {WAYS_ON}")

    def check_loaded(self, stored: object, place: str) -> None:
        """Raise UserError if a model was learned under circumstances that an evaluation must share.

        Another backbone, trainer, setting of the trainer or test transform is refused. So is another schedule, number
        of epochs or seed, if the command line states it, or a config file that is not the one of the training;
        otherwise the checkpoint's is recorded. Dataset, classes, paths, precision and loaders are free.
        """
        theirs = determines_of(stored)
        if theirs is None:
            print(f"Note: {place} does not say how it was trained; only names and shapes can be checked")
            return
        same_file = facts_of(stored).get("config_sha256") == self.facts["config_sha256"]
        stated = {key for key, by in self.stated.items() if by == "command line" or not same_file}
        compared = {name for name in theirs if _must_agree(name, stated)}
        if difference := first_difference(theirs, self.determines, compared):
            raise UserError(
                f"{place} was learned with other settings: {difference}. Evaluate it with the settings of its training"
            )
        code = [name for name in theirs if name.startswith("code.") and name in self.determines]
        changed = [name.removeprefix("code.") for name in code if theirs[name] != self.determines[name]]
        if changed:
            print(f"Note: the code of {', '.join(changed)} has changed since {place} was learned")

    def of_evaluation(self, weights: Sequence[dict]) -> "Identity":
        """The identity of an evaluation: without all that acts in training only, with the checkpoints it loads.

        Args:
            weights: as ``loaded.loaded_models`` gives; [] if nothing is learned.
        """
        found = {name: value for name, value in self.determines.items() if not _is_of_training(name)}
        found |= {f"weights.{loaded['model']}": loaded["sha256"] for loaded in weights}
        return replace(self, determines=found)

    def write(self, folder: str) -> None:
        """Write ``identity.json`` and the hashes of the training images into a run's folder."""
        lines = "".join(f"{image.content} {image.file}\n" for image in self.trained_images)
        write_text_atomically(Path(folder) / TRAINED_IMAGES, lines)
        write_text_atomically(Path(folder) / FILE, json.dumps(self.content, indent=1) + "\n", durable=True)


def identity_of(
    trainer, cfg: CfgNode, plugins: Sequence[str], stated: dict[str, str], config_file: str | None
) -> Identity:
    """The identity of a built trainer's run.

    Args:
        trainer: with ``dm.dataset`` and, if it has a CLIP, ``backbone_sha256``. plugins: as ``--plugin`` names them.
        stated: config key -> "command line" or "config file". config_file: path of the method's YAML file, or None.

    Raises UserError: an image or a file of weights cannot be read.
    """
    dataset = dataset_of(trainer)
    data, trained, tested = data_of(dataset)
    found = {f"settings.{key}": value for key, value in settings_of(cfg).items()}
    found |= data
    if backbone := getattr(trainer, "backbone_sha256", None):
        found["weights.backbone"] = backbone
    else:
        found["settings.MODEL.BACKBONE.NAME"] = cfg.MODEL.BACKBONE.NAME
    if cfg.MODEL.INIT_WEIGHTS:
        found["weights.MODEL.INIT_WEIGHTS"] = file_hashes([os.path.expanduser(cfg.MODEL.INIT_WEIGHTS)])[0]
    found |= {f"code.{name}": sha for name, sha in code_of(trainer, dataset, plugins).items()}
    engines = (f"{name} {version}" for name in ("dassl-engine", "dassl") if (version := installed_version(name)))
    found["version.engine"] = next(engines, None)
    if precision := getattr(getattr(trainer, "precision", None), "description", None):
        found["precision"] = precision  # fp16 on a GPU is fp32 on a CPU
    config_sha256 = file_hashes([config_file])[0] if config_file else None
    return Identity(found, {"config_sha256": config_sha256}, stated, data, trained, tested)


def settings_of(cfg: dict) -> dict[str, object]:
    """Dotted key -> plain value of all settings that can change a result, without those that only name a place.

    The backbone's name is not among them: its weights count.
    """
    left_out = {*IRRELEVANT_SETTINGS, *FILE_SETTINGS, "MODEL.BACKBONE.NAME"}
    return {key: value for key, value in plain(cfg).items() if key not in left_out}


def plain(cfg: dict) -> dict[str, object]:
    """Returns dotted key -> value as JSON has it (tuples are lists)."""
    return flat(json.loads(json.dumps(cfg)))


def digest(determines: dict[str, object]) -> str:
    """SHA-256 of an identity in hexadecimal."""
    return hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()


def first_difference(theirs: dict, ours: dict, names: Iterable[str] | None = None) -> str:
    """The first entry in which two identities differ, with both values; "" if there is none.

    A setting that only one of them knows is of a version or plug-in that the other lacks, and is not compared.

    Args:
        names: compare only these; by default all.
    """
    for name in dict.fromkeys(["settings.TRAINER.NAME", *ours, *theirs]):
        if names is not None and name not in names:
            continue
        if name.startswith("settings.") and not (name in theirs and name in ours):
            continue
        before, now = theirs.get(name), ours.get(name)
        if before != now:
            was, is_now = ("were", "they are") if name == "weights.backbone" else ("was", "it is")
            return f"{_title(name)} {was} {_value(before)}, now {is_now} {_value(now)}"
    return ""


def _title(name: str) -> str:
    kind, _, rest = name.partition(".")
    titles = {"code": "the code of ", "version": "the version of the "}
    if kind == "weights":
        return "the weights of the backbone" if rest == "backbone" else f"the content of {rest}"
    if kind == "data":
        return f"the list of {LISTS.get(rest, rest)}"
    return titles.get(kind, "") + rest


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, str) and value:
        return one_line(re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", value), 80)
    return shown(value)


def _must_agree(name: str, stated: set[str]) -> bool:
    """True if an evaluation must agree with the loaded model's training in this entry."""
    kind, _, key = name.partition(".")
    if kind == "weights":
        return key == "backbone"
    if kind != "settings" or key.endswith(".PREC") or key.startswith(_FREE_IN_EVALUATION):
        return False
    if key.startswith(_TRAINING) and key not in _TEST_INPUT:
        return key in stated
    return True


def is_of_training(key: str) -> bool:
    """True if a config key acts in training only, so that an evaluation records the loaded model's value."""
    return key.startswith((*_TRAINING, "DATALOADER.TRAIN_X.", "DATALOADER.K_TRANSFORMS")) and key not in _TEST_INPUT


def _is_of_training(name: str) -> bool:
    kind, _, key = name.partition(".")
    return name in ("data.train_x", "data.train_u") or (kind == "settings" and is_of_training(key))


def of_record(record: dict) -> dict[str, object]:
    """The entries of an evaluation's identity that its record holds; code and versions are only in its hash."""
    settings, hashes = branch(record, "settings"), branch(record, "hashes")
    found = {f"settings.{key}": value for key, value in settings_of(settings).items()}
    found |= {"weights.backbone": hashes.get("backbone")}
    found |= {f"data.{part}": hashes.get(part) for part in ("val", "test")}
    for loaded in record.get("weights") or []:
        found[f"weights.{loaded.get('model')}"] = loaded.get("sha256")
    return {name: value for name, value in found.items() if not _is_of_training(name)}


def installed_version(package: str) -> str | None:
    """Returns the version of an installed package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
