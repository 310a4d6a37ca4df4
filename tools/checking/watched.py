"""A trainer that is watched while it works, and the tensors that it works on."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from clip_prompts.clip.teacher import encode_texts
from clip_prompts.clip.templates import DEFAULT, fill

from .random_draws import Draws, moved, random_states


@dataclass
class Watch:
    """Events and values that a watched trainer leaves."""

    batches: list[dict] = field(default_factory=list)  # of its steps
    metrics: list[dict] = field(default_factory=list)  # that its steps returned
    scores: list[Tensor] = field(default_factory=list)  # of its tests, per batch
    clip_model: Any = None
    clip: dict[str, Tensor] = field(default_factory=dict)  # its tensors as they were loaded
    draws: Draws = field(default_factory=Draws)  # from torch's stream, to build the model next to CLIP
    drawn_from: list[str] = field(default_factory=list)  # other streams, likewise
    learned: dict[str, Tensor] = field(default_factory=dict)  # what is learned, as built
    fixed: dict[str, Tensor] = field(default_factory=dict)  # see ``fixed_tensors``, as built


class Watched:
    """Comes before a trainer class, and keeps what it does in ``watch``."""

    def __init__(self, cfg) -> None:
        self.watch = Watch()
        super().__init__(cfg)

    def build_model(self):
        states = random_states()
        with Draws() as self.watch.draws:
            super().build_model()
        self.watch.drawn_from = [name for name in moved(states, random_states()) if name != "torch"]
        self.watch.learned = values(learned(self))

    def load_clip(self, precision):
        found = super().load_clip(precision)
        self.watch.draws.count = 0  # CLIP's own start is drawn, and its weights replace it
        self.watch.clip_model = found[0]
        self.watch.clip = values(tensors_of(found[0]))
        return found

    def forward_backward(self, batch):
        self.watch.batches.append(batch)
        metrics = super().forward_backward(batch)
        self.watch.metrics.append(metrics)
        return metrics

    def model_inference(self, image):
        scores = super().model_inference(image)
        self.watch.scores.append(scores)
        return scores


def learned(trainer) -> dict[str, nn.Parameter]:
    """Learned tensors by name."""
    models = {name: trainer._models[name] for name in trainer.get_model_names()}
    return {
        key if len(models) == 1 else f"{name}.{key}": p
        for name, model in models.items() for key, p in model.named_parameters() if p.requires_grad
    }  # fmt: skip


def with_gradient(trainer) -> set[str]:
    """Names of the learned tensors with a gradient that is not 0 everywhere."""
    return {name for name, p in learned(trainer).items() if p.grad is not None and bool(p.grad.any())}


def values(tensors: dict[str, Any]) -> dict[str, Tensor]:
    """Copies that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def fixed_tensors(trainer) -> dict[str, Tensor]:
    """Copies of what a method keeps next to what it learns: teachers and fixed features.

    These are tensors, modules and objects of the method's own file that the trainer holds, unless they are registered
    or named in STATE; tensors of registered models that are not saved; and features of the teacher.
    """
    models = [trainer._models[name] for name in trainer.get_model_names()]
    sides = [trainer.image_encoder, trainer.text_encoder, trainer.watch.clip_model]
    known = {id(part) for model in (*models, *sides) for part in model.modules()}
    state = {name for layer in type(trainer).__mro__ for name in vars(layer).get("STATE", ())}
    own = {name: value for name, value in vars(trainer).items() if name not in {"watch", "model", *state}}
    found = {f"self{path}": tensor for path, tensor in _walk(own, known, type(trainer).__module__)}
    for model in models:
        saved = model.state_dict()
        found |= {key: value for key, value in model.named_buffers() if key not in saved}
        for name, part in model.named_modules():
            plain = {key: value for key, value in vars(part).items() if not key.startswith("_")}
            found |= {f"{name}{path}": tensor for path, tensor in _walk(plain, known, type(trainer).__module__)}
    names = trainer.dm.dataset.classnames
    with quiet(), torch.no_grad(), trainer.precision.autocast():
        found["the teacher's text features"] = encode_texts(trainer.text_encoder, fill(DEFAULT, names), names)
        image = trainer.test_loader.dataset[0]["img"][None]
        found["the teacher's image features"] = trainer.teacher.image_features(image.to(trainer.device))
    return values(found)


def _walk(value: object, known: set[int], module: str, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Paths and tensors of a tensor, a module, a collection, or an object of a class of ``module``.

    Every object is entered once, and none that is ``known`` by its id.
    """
    if id(value) in known:
        return
    parts: dict = {}
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, nn.Module):
        parts = tensors_of(value)
    elif isinstance(value, (list, tuple)):
        parts = {f"[{i}]": part for i, part in enumerate(value)}
    elif isinstance(value, dict):
        parts = value
    elif type(value).__module__ == module:
        parts = vars(value)
    known = known | {id(value)}
    for name, part in parts.items():
        yield from _walk(part, known, module, f"{path}.{name}".replace(".[", "["))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, nothing is printed."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
