"""Real trainers on a given CLIP and given class names, without data: what is measured and compared with its twin."""

from collections.abc import Sequence
from types import SimpleNamespace

import torch
from clip.model import CLIP
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from clip_prompts.clip import CLIPTrainer
from clip_prompts.clip.templates import BY_DATASET, DEFAULT
from clip_prompts.common.errors import unknown
from clip_prompts.common.method_facts import row_order
from clip_prompts.run import arguments
from clip_prompts.run.checkout import load_checkout
from clip_prompts.run.config import build_config

load_checkout("trainers")


def random_text_features(classes: int, width: int) -> Tensor:
    """The same random features (C, D) at every call."""
    return torch.randn(classes, width, generator=torch.Generator().manual_seed(0))


class RandomTextFeatures:
    """In place of the teacher's stored text features: random ones, because computing them may take minutes."""

    def __init__(self, width: int) -> None:
        self.width = width

    def of(self, texts, encode) -> Tensor:
        return random_text_features(len(texts[0]), self.width)


class WithoutData:
    """Comes before a trainer class. Takes class names from ``given`` and CLIP from ``clip_model``; reads no file."""

    given: SimpleNamespace
    backbone_sha256 = backbone_path = ""

    def build_data_loader(self) -> None:
        names = list(self.given.names)
        template = BY_DATASET.get(self.cfg.DATASET.NAME, DEFAULT)
        self.dm = SimpleNamespace(dataset=SimpleNamespace(classnames=names, template=template))
        self.num_classes, self.lab2cname = len(names), dict(enumerate(names))
        self.train_loader_x = self.train_loader_u = self.val_loader = self.test_loader = None

    def load_clip(self, precision: str):
        loaded = super().load_clip(precision)
        if self.given.random_teacher:
            self.teacher.kept = RandomTextFeatures(loaded[0].visual.output_dim)
        return loaded

    def build_model(self) -> None:
        super().build_model()
        self._gradients_are_checked = True  # steps on features leave out what is learned for images


def learning_methods() -> dict[str, type[CLIPTrainer]]:
    """Trainer classes of all registered methods that learn in steps, by name, in the order of tables."""
    known = {name: TRAINER_REGISTRY.get(name) for name in TRAINER_REGISTRY.registered_names()}
    learning = (
        name
        for name, cls in known.items()
        if issubclass(cls, CLIPTrainer) and cls.loss_terms is not CLIPTrainer.loss_terms
    )
    return {name: known[name] for name in sorted(learning, key=row_order)}


def method_class(method: str) -> type[CLIPTrainer]:
    """The trainer class of a method that learns in steps. Raises UserError for any other name."""
    if method not in (learning := learning_methods()):
        raise unknown("method", method, learning)
    return learning[method]


def build_trainer(
    method: str,
    clip_model: CLIP,
    names: Sequence[str],
    dataset: str = "",
    settings: Sequence[object] = (),
    random_teacher: bool = False,
) -> CLIPTrainer:
    """Build the trainer of a method that learns in steps. Arguments and errors: as of ``build``."""
    trainer = build(method_class(method), clip_model, names, dataset, settings, random_teacher)
    trainer.set_model_mode("train")
    return trainer


def build(
    cls: type[CLIPTrainer],
    clip_model: CLIP,
    names: Sequence[str],
    dataset: str = "",
    settings: Sequence[object] = (),
    random_teacher: bool = False,
    config_file: str = "",
) -> CLIPTrainer:
    """Build a trainer. Steps leave what is learned as it is: the learning rate is 0.

    Args:
        clip_model: frozen; is brought into the precision of the settings. names: C class names.
        dataset: class name of a dataset, whose texts the method takes.
        settings: KEY VALUE pairs, as of ``train.py``. config_file: path of a YAML file, as of ``train.py``.
        random_teacher: random text features in place of the teacher's.

    Raises:
        UserError: unknown method or setting, or a value that does not fit.
    """
    size = clip_model.visual.input_resolution
    args = arguments.parse([
        "--trainer", cls.__name__, *(["--config-file", config_file] if config_file else []),
        "OPTIM.LR", "0.0", "INPUT.SIZE", f"({size}, {size})", "FEATURES.CACHE", "False",
        "DATASET.NAME", dataset, *map(str, settings),
    ])  # fmt: skip
    given = {"given": SimpleNamespace(names=names, random_teacher=random_teacher), "clip_model": clip_model}
    trainer = type(cls.__name__, (WithoutData, cls), given)(build_config(args))
    trainer.batch_idx, trainer.num_batches = 0, 2  # the schedule waits for the last batch
    return trainer
