"""A trained method from a prompt's config: its trainer without data, which holds the learned tensors."""

import contextlib
import io
import json
import threading
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from clip.model import CLIP
from dassl.engine import TRAINER_REGISTRY, TrainerBase
from torch import Tensor, nn
from yacs.config import CfgNode

from clip_prompts.artifact.content import vocabulary_sha256
from clip_prompts.artifact.names import portable_names
from clip_prompts.backbones.loading import TINY, backbone_file, backbone_sha256, check_backbone, load_clip
from clip_prompts.backbones.structure import architecture
from clip_prompts.clip import CLIPTrainer
from clip_prompts.clip.class_head import ClassHead, stored_names
from clip_prompts.clip.config import BACKBONE_CONFIG
from clip_prompts.clip.templates import DEFAULT, check_template
from clip_prompts.clip.tokens import check_class_names
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.text import one_line, shown
from clip_prompts.records.settings import problem
from clip_prompts.run.config import default_config

MOST = 77  # an integer setting may exceed this only up to a size of the tensors


_lock, _inside, _redirected = threading.Lock(), list[int](), contextlib.ExitStack()  # of quiet


class Backbone(NamedTuple):
    """A CLIP that several trainers share, the hash of its weights, and the path of their file."""

    clip_model: CLIP
    sha256: str
    path: str


def load_backbone(config: dict[str, Any], name: str | None, allow_other_weights: bool) -> tuple[str, Backbone]:
    """Load the backbone of a prompt; returns its name too.

    Args:
        config: of the prompt. name: of the backbone or path of its file; None: as the config says.
        allow_other_weights: accept weights with another hash, if the architecture is the same.

    Raises UserError: it is not there, or other weights, or of another architecture.
    """
    base = config["base_model"]
    if base["source"] in ("open_clip", "hf") and name is None:
        raise UserError(
            f"The prompt's backbone is '{one_line(base['name'], 80)}' of {base['source']}. Give a "
            "file with its weights in OpenAI's naming as the backbone"
        )
    name = name or (TINY if base["source"] == "embedded" else base["name"])
    check_backbone(name)
    with quiet():
        found = backbone_sha256(name)
    if found != base["sha256"] and not allow_other_weights:
        raise UserError(
            f"The prompt was learned with other weights (SHA-256 {base['sha256'][:12]}) than those of backbone "
            f"'{one_line(name, 80)}' ({found[:12]}). Name the right backbone, or allow other weights"
        )
    backbone = open_backbone(name, base["structure"])
    own, stated = _plain(architecture(backbone.clip_model)), config["architecture"]
    different = next((key for key in own if own[key] != stated.get(key)), None)
    if different is not None:
        raise UserError(
            f"The backbone '{one_line(name, 80)}' has {different} {shown(own[different])}, and the prompt was learned "
            f"with {shown(stated.get(different))}. Name the backbone that it was learned with"
        )
    stated_words = config.get("tokenizer", {}).get("vocabulary_sha256")
    if stated_words and stated_words != vocabulary_sha256():
        raise UserError(
            "The prompt was learned with a tokenizer that differs from the one in the installed package clip. Install "
            "OpenAI's clip"
        )
    return name, backbone


def open_backbone(name: str, structure: Mapping[str, Any]) -> Backbone:
    """Load a backbone by name or path; ``structure``: settings of MODEL.BACKBONE in lower case. Draws no numbers."""
    given = [structure.get(key.lower(), default) for key, default in BACKBONE_CONFIG.items()]
    with quiet(), torch.random.fork_rng(devices=[]):
        return Backbone(load_clip(name, *given), backbone_sha256(name), str(backbone_file(name)))


def build_method(
    config: dict[str, Any],
    tensors: dict[str, Tensor] | None,
    names: Sequence[str],
    backbone_name: str,
    backbone: Backbone,
    device: str | None = None,
    precision: str | None = None,
) -> CLIPTrainer:
    """Build the trainer of a prompt for a list of class names, and load what was learned.

    Args:
        config: of the prompt. tensors: by the format's names; None: nothing is loaded. names: C class names.
        backbone_name, backbone: as ``load_backbone`` gives them. device: "cpu" for the CPU in any case.
        precision: fp32, fp16, bf16 or amp; None: as it was learned.

    Raises UserError: an unknown method, settings that do not fit, or tensors that do not fit the method.
    """
    cls = method_class(config["method"]["name"])
    cfg = _config(config, cls, names, tensors or {})
    cfg.MODEL.BACKBONE.NAME, cfg.USE_CUDA = backbone_name, device != "cpu"
    if precision:
        cfg.TRAINER[cls.__name__.upper()].PREC = precision
    cfg.freeze()
    if cls.READS_NAMES:
        check_class_names(names, unique=list(names) != config["classes"]["names"])
    trainer: Any = cls.__new__(cls)  # its constructor would read images
    TrainerBase.__init__(trainer)
    trainer.cfg, trainer.max_epoch = cfg, cfg.OPTIM.MAX_EPOCH
    trainer.device = torch.device("cuda" if cfg.USE_CUDA and torch.cuda.is_available() else "cpu")
    seen = config["preprocess"].get("as_viewed", False)
    classes = SimpleNamespace(classnames=list(names), template=config["prompt"]["template"], as_viewed=seen)
    trainer.dm, trainer.lab2cname = SimpleNamespace(dataset=classes), dict(enumerate(names))
    trainer.clip_model, trainer.backbone_sha256, trainer.backbone_path = backbone
    with quiet(), torch.random.fork_rng(devices=[]):
        trainer.build_model()
        models = list(trainer._models.values())
        if tensors is not None and models:
            _load(models[0], tensors, config)
    trainer.set_model_mode("eval")
    return trainer


def name_list(names: Sequence[str]) -> list[str]:
    """Class names as a list. Raises UserError for a text, which is a list of its letters too."""
    if isinstance(names, str):
        raise UserError(f"Class names must be a list. Give ['{one_line(names, 80)}'] for one name")
    return list(names)


def method_class(name: str) -> type[CLIPTrainer]:
    """The registered trainer of a name. Raises UserError: there is none, or it is no ``CLIPTrainer``."""
    known = TRAINER_REGISTRY.registered_names()
    own = [n for n in known if issubclass(TRAINER_REGISTRY.get(n), CLIPTrainer)]
    if name not in own:
        raise unknown("method", name, own, ". If the method comes from a plug-in, give its module: --plugin FILE")
    return TRAINER_REGISTRY.get(name)


def _config(
    config: dict[str, Any], cls: type[CLIPTrainer], names: Sequence[str], tensors: dict[str, Tensor]
) -> CfgNode:
    """The config of the run that learned a prompt, as far as the prompt depends on it."""
    prompt, taken, training = config["prompt"], config["preprocess"], config.get("training", {})
    cfg, node = default_config(), f"TRAINER.{cls.__name__.upper()}"
    cfg.TRAINER.NAME = cls.__name__
    most = max([MOST, len(tensors) + 1, *(size for value in tensors.values() for size in value.shape)])
    own = cfg.TRAINER.get(cls.__name__.upper(), CfgNode())
    for key, value in prompt["settings"].items():
        if key not in own:
            raise UserError(
                f"The prompt has the setting {node}.{key}, which {cls.__name__} does not have in this version"
            )
        kind = type(own[key])
        value = float(value) if kind is float and type(value) is int else tuple(value) if kind is tuple else value
        if type(value) is not kind:
            raise UserError(f"The prompt's setting {node}.{key} is {shown(value)}, not a value of type {kind.__name__}")
        if line := problem(f"{node}.{key}", value):
            raise UserError(line)
        if type(value) is int and value > most:  # a few bytes could ask for any amount of memory
            raise UserError(f"The prompt's setting {node}.{key} is {value:,}, and none of its tensors is so large")
        own[key] = value
    cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION = tuple(taken["size"]), taken["interpolation"]
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = list(taken["mean"]), list(taken["std"])
    cfg.INPUT.TRANSFORMS = ("normalize", "instance_norm") if taken.get("instance_norm") else ("normalize",)
    cfg.DATASET.NAME = str(training.get("dataset", ""))[:200]
    cfg.DATASET.SUBSAMPLE_CLASSES = str(training.get("classes", ""))[:20]
    cfg.DATASET.TEMPLATE = prompt.get("given_template", "")
    for template in (prompt["template"], prompt.get("given_template") or DEFAULT):
        check_template(template)
    for key in BACKBONE_CONFIG:
        cfg.MODEL.BACKBONE[key] = config["base_model"]["structure"].get(key.lower(), BACKBONE_CONFIG[key])
    return cfg


def _load(model: nn.Module, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Load tensors by the format's names into a model. Raises UserError: names or shapes are not the model's."""
    own, classes = portable_names(model), config["classes"]["names"]
    parameters = dict(model.named_parameters())
    shapes = {name: tuple(parameters[name].shape) for name in own}
    state = {name: tensors[portable] for name, portable in own.items() if portable in tensors}
    for name, module in model.named_modules():
        if isinstance(module, ClassHead):  # finds the rows of its classes among those of the training
            prefix = f"{name}." if name else ""
            state[f"{prefix}classes"] = stored_names(classes)
            shapes |= {f"{prefix}weight": (len(classes), module.in_features), f"{prefix}bias": (len(classes),)}
    expected = {own[name]: shape for name, shape in shapes.items()}
    there = {name: tuple(value.shape) for name, value in tensors.items()}
    if expected != there:
        name = next(name for name in {**expected, **there} if expected.get(name) != there.get(name))
        raise UserError(
            f"The prompt's tensor '{one_line(name, 80)}' is {shown(there.get(name))}, and {config['method']['name']} "
            f"with its settings has {shown(expected.get(name))}"
        )
    model.load_state_dict(state)


@contextlib.contextmanager
def quiet():
    """Inside, nothing is printed on standard output: notes of a training make no sense there.

    All threads share standard output: the first one inside redirects it, the last one restores it.
    """
    with _lock:
        if not _inside:
            _redirected.enter_context(contextlib.redirect_stdout(io.StringIO()))
        _inside.append(threading.get_ident())
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if not _inside:
                _redirected.close()


def _plain(value: object) -> Any:
    return json.loads(json.dumps(value))
