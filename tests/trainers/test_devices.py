"""Methods on another device than the CPU, without one: PyTorch's ``meta`` device has shapes and no numbers."""

import contextlib
import functools

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from measuring import trainers
from measuring.task import class_names, random_clip
from tests.gpu.steps import tiny_settings

META = torch.device("meta")
COPIES = {"_to_copy", "copy_", "detach"}


class OneDevice(TorchDispatchMode):
    """Inside, an operator whose tensors are on several devices raises RuntimeError, as on a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        devices = {one.device.type for one in tensors if one.dim() or one.device == META}  # numbers may be anywhere
        if len(devices) > 1 and func.overloadpacket.__name__ not in COPIES:
            raise RuntimeError(f"{func} mixes devices")
        return func(*args, **(kwargs or {}))


class OnMeta:
    """Comes before a trainer class: the run's device is ``meta``."""

    def load_clip(self, precision):
        self.device = META
        return super().load_clip(precision)


@functools.cache
def clip_model():
    return random_clip("tiny", stored=True)  # one for all: it stays frozen


@pytest.fixture
def _no_autocast(monkeypatch):
    """The ``meta`` device has none."""
    autocast, is_enabled = torch.autocast, torch.is_autocast_enabled
    monkeypatch.setattr(
        torch, "autocast", lambda kind, **named: contextlib.nullcontext() if kind == "meta" else autocast(kind, **named)
    )
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind != "meta" and is_enabled(kind))


@pytest.mark.integration
@pytest.mark.usefixtures("_no_autocast")
@pytest.mark.parametrize("method", trainers.learning_methods())
def test_nothing_of_a_method_stays_on_the_cpu(method, monkeypatch):
    cls = trainers.method_class(method)
    monkeypatch.setattr(trainers, "method_class", lambda name: type(cls.__name__, (OnMeta, cls), {}))
    pairs = (f"TRAINER.{method.upper()}.PREC", "fp16", *tiny_settings(method))
    with OneDevice():
        trainer = trainers.build_trainer(method, clip_model(), class_names(6), "", pairs)
        tensors = [*trainer.model.parameters(), *trainer.model.buffers()]
        assert {tensor.device for tensor in tensors} == {META}
        image, label = torch.randn(4, 3, 32, 32, device=META), torch.randint(6, (4,), device=META)
        sum(trainer.loss_terms(trainer.model(image), label).values()).backward()
        assert all(p.grad.device == META for p in trainer.learner.parameters())
        with torch.no_grad():
            assert trainer.model_inference(image).shape == (4, 6)


def test_mixed_devices_are_seen():
    with OneDevice(), pytest.raises(RuntimeError, match="mm.* mixes devices"):
        torch.ones(3, 3) @ torch.ones(3, 3, device=META)
