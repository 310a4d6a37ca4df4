"""Prompts from the checkpoints of runs, ours and those of the original programs."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.utils import load_checkpoint
from torch import Tensor, nn
from yacs.config import CfgNode

from clip_prompts.artifact import MODEL, NAME, VERSION
from clip_prompts.artifact.content import base_model, last_test
from clip_prompts.artifact.reading import Artifact
from clip_prompts.artifact.writing import prompt_of
from clip_prompts.backbones.structure import architecture
from clip_prompts.clip import CLIPTrainer
from clip_prompts.clip.checkpoints import learned_weights, load_learned
from clip_prompts.clip.config import BACKBONE_CONFIG
from clip_prompts.clip.templates import BY_DATASET, DEFAULT
from clip_prompts.common.checkpoint_files import find_checkpoint
from clip_prompts.common.errors import UserError
from clip_prompts.common.method_facts import read_facts, row_order
from clip_prompts.common.text import one_line
from clip_prompts.common.trees import branch, flat
from clip_prompts.records.facts import OWN_PICTURES
from clip_prompts.records.stored_identity import determines_of
from clip_prompts.run.errors import USER_ERRORS

from .building import Backbone, build_method, method_class, open_backbone, quiet

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
_SETTING = "settings."


@dataclass
class Source:
    """Facts that the user gives about a checkpoint. ``settings``: the method's, if they differ from its defaults."""

    names: Sequence[str] | None = None
    backbone: str | None = None
    method: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def backbone_of_run(folder: Path) -> str | None:
    """The backbone that the record of a run names: a name, or the path of the user's file; None if there is none."""
    backbone = (last_test(folder) or {}).get("backbone")
    return backbone if isinstance(backbone, str) else None


def of_run(folder: Path, epoch: int | None, given: Source) -> Artifact:
    """The prompt of a run that has written none itself, from its record and its checkpoint.

    Raises UserError: the folder holds no finished run, or a run of another kind of trainer.
    """
    record = last_test(folder)
    if record is None:
        raise UserError(
            f"'{folder}' holds no prompt, and no record of a training that has ended (results.json). Give the output "
            "folder of a finished training, or one checkpoint"
        )
    settings = branch(record, "settings")
    cls = method_class(str(record.get("trainer")))
    stored = {f"{_SETTING}{key}": value for key, value in flat(settings).items()}
    names = given.names or _names(record)
    config, backbone, name = sketch(cls, stored, names, given, str(record.get("backbone")))
    config["training"]["seed"] = record.get("seed")
    trainer = build_method(config, None, names, name, backbone)
    for model in trainer.get_model_names():
        stated = [w.get("file") for w in record.get("weights") or [] if w.get("model") == model and w.get("file")]
        found = epoch or branch(record, "epochs").get("run")
        path = str(folder / stated[0]) if stated and not epoch else find_checkpoint(str(folder), model, found)
        with quiet():
            load_learned(trainer._models[model], model, path)
    return _in_memory(folder, trainer, record)


def of_checkpoint(path: Path, given: Source) -> Artifact:
    """The prompt of one checkpoint. Ours say which method they are of; others are recognised by their tensors.

    Raises UserError: no backbone or class names are given and none are known, or the checkpoint fits no method.
    """
    try:
        with quiet():
            content = load_checkpoint(str(path))
    except (*USER_ERRORS, OSError) as error:
        raise UserError(f"'{path}' is neither a prompt nor a checkpoint that can be read") from error
    stored = determines_of(content.get("identity") if isinstance(content, dict) else None) or {}
    run = path.parent.parent
    names = given.names or _names(last_test(run) or {})
    if not names:
        raise UserError(f"'{path}' stores no class names. Give them: --classes FILE, or classes=[...]")
    known = stored.get("settings.TRAINER.NAME")
    backbone = given.backbone or backbone_of_run(run)
    if backbone is None and stored.get("settings.MODEL.BACKBONE.NAME"):
        backbone = str(stored["settings.MODEL.BACKBONE.NAME"])
    if backbone is None:
        raise UserError(f"'{path}' does not store the name of its backbone. Give it: --backbone ViT-B/16")
    methods = [method_class(given.method or str(known))] if given.method or known else _methods()
    problems = []
    for cls in methods:
        try:
            return _fitted(path, content, cls, stored if known == cls.__name__ else {}, names, given, backbone)
        except (UserError, RuntimeError, ValueError) as error:
            problems.append(f"{cls.__name__}: {one_line(str(error), 200)}")
            if len(methods) == 1:
                raise UserError(f"'{path}' is not a prompt of {cls.__name__}: {one_line(str(error), 500)}") from error
    shown = "; ".join(problems[:2])
    raise UserError(f"'{path}' does not fit any known method ({shown}; ...). Name its method: --method NAME")


def _fitted(path, content, cls, stored, names, given: Source, backbone_name: str) -> Artifact:
    """The checkpoint as a prompt of one method, with the sizes that the settings have in the checkpoint."""
    config, backbone, name = sketch(cls, stored, names, given, backbone_name)
    trainer = build_method(config, None, names, name, backbone)
    model_names = trainer.get_model_names()
    if not model_names:
        raise UserError(f"{cls.__name__} learns nothing")
    model = trainer._models[model_names[0]]
    with quiet():
        weights = learned_weights(content, model)
    if wanted := sizes_of(weights, model, config["prompt"]["settings"], cls):
        config["prompt"]["settings"] |= wanted | given.settings
        trainer = build_method(config, None, names, name, backbone)
        model = trainer._models[model_names[0]]
    with quiet():
        load_learned(model, model_names[0], str(path), content)
    return _in_memory(path, trainer, None)


def sizes_of(weights: Mapping[str, Any], model: nn.Module, settings: Mapping[str, Any], cls: Any) -> dict[str, Any]:
    """Settings of a method that decide sizes, as the tensors of a checkpoint have them; only those that differ.

    Args:
        weights: by the names of the model. model: built with the settings.
    """
    found: dict[str, Any] = {}
    learner = getattr(model, "prompt_learner", model)
    context = weights.get("ctx", weights.get("prompt_learner.ctx"))
    if isinstance(context, Tensor) and context.dim() in (2, 3):
        found[getattr(learner, "LENGTH", "N_CTX")] = context.shape[-2]
        found["CSC"] = context.dim() == 3
    for key, layers in getattr(model, "LAYERS", {}).items():
        numbers = {m[1] for name in weights if (m := re.fullmatch(rf"{re.escape(key)}\.(\d+)(\..*)?", name))}
        found[layers.depth] = len(numbers) + layers.first
        rows = [v.shape[-2] for n, v in weights.items() if re.fullmatch(rf"{re.escape(key)}\.\d+", n) and v.dim() == 2]
        if rows:
            found.setdefault(layers.length, rows[0])
    found = {key: value for key, value in found.items() if key in settings and settings[key] != value}
    if found.get("CSC") or (cls.WORDS_SET_LENGTH and "N_CTX" in found):
        found["CTX_INIT"] = ""  # the words were others, and only their number counts
    return found


def sketch(
    cls: type[CLIPTrainer], stored: Mapping[str, Any], names: Sequence[str], given: Source, backbone_name: str
) -> tuple[dict[str, Any], Backbone, str]:
    """A config that a method can be built from, its backbone, and the backbone's name.

    Args:
        stored: ``settings.KEY`` to value, of a run of ours; {} for another program's checkpoint.
    """

    def own(key: str, default: Any) -> Any:
        return stored.get(_SETTING + key, default)

    node = f"TRAINER.{cls.__name__.upper()}."
    settings = {key: own(node + key, value) for key, value in cls.CONFIG.items()} | given.settings
    facts = {key.lower(): own(f"MODEL.BACKBONE.{key}", default) for key, default in BACKBONE_CONFIG.items()}
    backbone = open_backbone(given.backbone or backbone_name, facts)
    size = backbone.clip_model.visual.input_resolution
    steps = own("INPUT.TRANSFORMS", ("normalize",))
    mean, std = (own(f"INPUT.PIXEL_{key}", value) for key, value in (("MEAN", _MEAN), ("STD", _STD)))
    dataset = str(own("DATASET.NAME", ""))
    described = CfgNode(
        {"NAME": given.backbone or backbone_name, **{key.upper(): value for key, value in facts.items()}}
    )
    config = {
        "format": {"name": NAME, "version": VERSION},
        "method": {"name": cls.__name__, "static": True, "classes": "any", "image_encoder": "frozen"},
        "base_model": base_model(described, backbone.sha256),
        "architecture": architecture(backbone.clip_model),
        "preprocess": {
            "size": [size, size],
            "interpolation": own("INPUT.INTERPOLATION", "bicubic"),
            "mean": list(mean) if "normalize" in steps else [0.0] * 3,
            "std": list(std) if "normalize" in steps else [1.0] * 3,
            "instance_norm": "instance_norm" in steps,
            "as_viewed": dataset == OWN_PICTURES,
        },
        "prompt": {
            "template": own("DATASET.TEMPLATE", "") or _template(dataset),
            "given_template": own("DATASET.TEMPLATE", ""),
            "settings": settings,
        },
        "classes": {"names": list(names)},
        # A head of another program does not name its classes: those that are given count as its own.
        "training": {"dataset": dataset, "classes": own("DATASET.SUBSAMPLE_CLASSES", "base")},
    }
    return config, backbone, given.backbone or backbone_name


def _in_memory(place: Path, trainer: CLIPTrainer, record: dict | None) -> Artifact:
    config, tensors = prompt_of(trainer, record)
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    config["files"] = {MODEL: {"sha256": digest.hexdigest(), "bytes": 0}}
    return Artifact(place, config, tensors)


def _names(record: Mapping[str, Any]) -> list[str]:
    """Class names by rising label, from a record of a test."""
    rows = [row for row in record.get("per_class") or [] if isinstance(row, dict) and isinstance(row.get("name"), str)]
    return [row["name"] for row in sorted(rows, key=lambda row: row.get("label", math.inf))]


def _template(dataset: str) -> str:
    reader = DATASET_REGISTRY.get(dataset) if dataset in DATASET_REGISTRY.registered_names() else None
    template = getattr(reader, "template", None)
    return template if isinstance(template, str) and template else BY_DATASET.get(dataset, DEFAULT)


def _methods() -> list[type[CLIPTrainer]]:
    """All methods that learn prompts, in the order of tables."""
    known = [TRAINER_REGISTRY.get(name) for name in TRAINER_REGISTRY.registered_names()]
    own = [cls for cls in known if issubclass(cls, CLIPTrainer) and read_facts(cls.__name__).learns == "prompts"]
    return sorted(own, key=lambda cls: row_order(cls.__name__))
