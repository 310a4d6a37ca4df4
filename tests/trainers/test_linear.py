"""Frozen linear layers equal PyTorch's own, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from clip_prompts.encoders import blocks as module
from clip_prompts.encoders.blocks import linear
from tests.trainers.test_memory import cocoop, coop, loss_and_gradients

SHAPES = ((3, 5), (1, 64), (2, 7, 64), (0, 64))


BACKWARD = pytest.mark.usefixtures("_backward")


def close(one, two, tolerance=1e-5):
    assert (one - two).norm() <= tolerance * two.norm()


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)


@pytest.fixture(params=(True, False), ids=("with AVX-512", "without"))
def _backward(request, monkeypatch):
    monkeypatch.setattr(module, "ONEDNN_BACKWARD", request.param)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return torch.randn(48, 64), torch.randn(48)


@BACKWARD
@pytest.mark.parametrize("with_bias", (True, False))
@pytest.mark.parametrize("shape", SHAPES)
def test_frozen_linear_equals_pytorchs(shape, with_bias):
    torch.manual_seed(0)
    weight, bias = torch.randn(48, shape[-1]), torch.randn(48) if with_bias else None
    x, y = (torch.randn(shape, generator=torch.Generator().manual_seed(1), requires_grad=True) for _ in range(2))
    ours, theirs = linear(x, weight, bias), F.linear(y, weight, bias)
    assert ours.shape == theirs.shape
    close(ours, theirs)
    upstream = torch.randn(theirs.shape)
    ours.backward(upstream)
    theirs.backward(upstream)
    close(x.grad, y.grad)


@BACKWARD
def test_a_gradient_that_is_not_contiguous(layer):
    x = torch.randn(5, 64, requires_grad=True)
    (linear(x, *layer).t() @ torch.arange(5.0)).sum().backward()
    close(x.grad, torch.arange(5.0)[:, None] * layer[0].sum(0))


@pytest.mark.skipif(module._PRODUCT is None, reason="PyTorch without oneDNN")
def test_onednn_computes_what_is_frozen_and_nothing_else(layer, monkeypatch):
    calls = []
    real = module._PRODUCT
    monkeypatch.setattr(module, "_PRODUCT", lambda *args: calls.append(1) or real(*args))
    weight, bias = layer
    x = torch.randn(5, 64)
    linear(x, weight, bias)
    assert len(calls) == 1
    learned = weight.clone().requires_grad_()
    linear(x, learned, bias).sum().backward()
    close(learned.grad, x.sum(0).expand(48, -1))
    linear(x.bfloat16(), weight.bfloat16(), bias.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16
    assert len(calls) == 1


@BACKWARD
@pytest.mark.skipif(module._PRODUCT is None, reason="PyTorch without oneDNN")
def test_onednn_goes_backward_with_wide_vectors_only(layer, monkeypatch):
    x = torch.randn(5, 64, requires_grad=True)
    y = linear(x, *layer).sum()
    calls, real = [], module._PRODUCT
    monkeypatch.setattr(module, "_PRODUCT", lambda *args: calls.append(1) or real(*args))
    y.backward()
    assert len(calls) == module.ONEDNN_BACKWARD
    close(x.grad, layer[0].sum(0).expand(5, -1))


def test_small_products_stay_with_pytorch(layer, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 5 * 64 * 48 + 1)
    monkeypatch.setattr(module, "_PRODUCT", None)  # would not be missed
    close(linear(torch.ones(5, 64), *layer), layer[0].sum(1) + layer[1])
    monkeypatch.setattr(module, "_PRODUCT", lambda *args: pytest.fail("oneDNN was called"))
    linear(torch.ones(5, 64), *layer)


@BACKWARD
@pytest.mark.parametrize("make", (coop, cocoop))
def test_whole_methods_are_equal_with_and_without_onednn(make, monkeypatch):
    """Packed text encoding and image encoder together; gradients of all that is learned."""
    ours = make(None)
    loss, gradients = loss_and_gradients(ours)
    monkeypatch.setattr(module, "_PRODUCT", None)
    expected, theirs = loss_and_gradients(make(None))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, two in zip(gradients, theirs, strict=True):
        close(one, two, 1e-4)


def test_without_onednn_pytorchs_own_computes(layer, monkeypatch):
    monkeypatch.setattr(module, "_PRODUCT", None)
    x = torch.randn(5, 64, requires_grad=True)
    linear(x, *layer).sum().backward()
    close(x.grad, layer[0].sum(0).expand(5, -1))
