"""Section 1.7: the operations of dassl.modeling.ops."""

import pytest
import torch

from .catalogue import find
from .support import or_user_error

pytestmark = pytest.mark.zoo

OPS = "dassl.modeling.ops."


def op(name, *arguments, **options):
    return find(OPS + name)(*arguments, **options)


def test_mixup():
    """Mixes images (4-D) and labels by Beta(beta, beta); preserve_order keeps the larger share on the first."""
    x1, x2 = torch.zeros(8, 3, 2, 2), torch.ones(8, 3, 2, 2)
    y1, y2 = torch.zeros(8, 5), torch.ones(8, 5)
    for keep in (False, True):
        x, y = op("mixup", x1, x2, y1, y2, 0.75, preserve_order=keep)
        assert (tuple(x.shape), tuple(y.shape)) == ((8, 3, 2, 2), (8, 5))
        assert torch.allclose(x[:, 0, 0, 0], y[:, 0]) and ((0 <= x) & (x <= 1)).all()
        assert not keep or (x <= 0.5).all()
    with pytest.raises(Exception):  # noqa: B017
        op("mixup", x1[0], x2[0], y1, y2, 0.75)


def test_mmd():
    """Positive for distant batches, not for equal ones; kernels rbf, linear and poly."""
    torch.manual_seed(0)
    x = torch.randn(6, 4)
    for kernel in ("rbf", "linear", "poly"):
        for normalize in (False, True):
            measure = op("MaximumMeanDiscrepancy", kernel_type=kernel, normalize=normalize)
            assert float(measure(x, x)) < 1e-4 < float(measure(x, x + 3.0)), kernel


def test_dynamic_convolution():
    """A convolution of the usual output shape; odd kernels with padding k // 2 only, else ValueError. Attention gives
    out_features weights for each image.
    """
    conv = op("Conv2dDynamic", 4, 6, 3, 1, 1)
    assert tuple(conv(torch.rand(2, 4, 8, 8)).shape) == (2, 6, 8, 8)
    assert tuple(op("Conv2dDynamic", 4, 6, 1, 2, 0)(torch.rand(2, 4, 8, 8)).shape) == (2, 6, 4, 4)
    for kernel, padding in ((2, 1), (3, 0)):
        with pytest.raises(ValueError):
            op("Conv2dDynamic", 4, 6, kernel, 1, padding)
    assert op("Attention", 4, 5)(torch.rand(2, 4, 8, 8)).flatten(1).shape == (2, 5)


def test_domain_specific_norm():
    """One batch normalisation for each domain; select_bn chooses."""
    for name, shape in (("DSBN1d", (8, 3)), ("DSBN2d", (8, 3, 4, 4))):
        norm = op(name, 3, n_domain=2)
        x = torch.randn(*shape) + 5.0
        norm.train()
        norm.select_bn(1)
        norm(x)
        norm.eval()
        norm.select_bn(0)
        assert torch.allclose(norm(x), x, atol=1e-3), "domain 0 saw nothing yet"
        norm.select_bn(domain_idx=1)
        assert not torch.allclose(norm(x), x, atol=1e-1)


def test_style_mixing():
    """Mixes the statistics of images in training, with probability p; identity in eval mode and when deactivated, by
    method, by function on a module, or within a context manager, which may also set the method.
    """
    for name, suffix in (("MixStyle", "mixstyle"), ("EFDMix", "efdmix")):
        layer = op(name, p=1.0, alpha=1.0)
        model = torch.nn.Sequential(layer)
        torch.manual_seed(0)
        x = torch.randn(8, 3, 4, 4) * torch.rand(8, 3, 1, 1) + torch.randn(8, 3, 1, 1)

        def moves(model=model, x=x):
            out = model(x)
            assert out.shape == x.shape
            return not torch.allclose(out, x, atol=1e-5)

        assert moves(), name
        model.eval()
        assert not moves()
        model.train()
        model.apply(find(f"{OPS}deactivate_{suffix}"))
        assert not moves()
        with op(f"run_with_{suffix}", model, mix="crossdomain"):
            assert moves()
        assert not moves()
        model.apply(find(f"{OPS}activate_{suffix}"))
        with op(f"run_without_{suffix}", model):
            assert not moves()
        assert moves()
        layer.set_activation_status(False)
        assert not moves()
        layer.set_activation_status(True)
        for method in ("random", "crossdomain"):
            model.apply(find(f"{OPS}{method}_{suffix}"))
            assert moves()
            layer.update_mix_method(method)
            assert moves()
        assert op(name, p=0.0)(x).tolist() == x.tolist()


def test_transferable_norm():
    """Normalises each half of a training batch (source, target) by its own statistics."""
    for name, shape in (("TransNorm1d", (4, 3)), ("TransNorm2d", (4, 3, 5, 5))):
        for adaptive in (True, False):
            norm = op(name, 3, adaptive_alpha=adaptive)
            x = torch.cat([torch.randn(*shape), torch.randn(*shape) * 3 + 7])
            out = norm(x)
            assert out.shape == x.shape
            for half in out.chunk(2):
                assert half.mean().abs() < 0.2, "each half has mean 0 before the common scale"
            norm.eval()
            assert norm(x).shape == x.shape


def test_several_inputs():
    """A Sequential that passes several inputs on."""

    class Pair(torch.nn.Module):
        def forward(self, a, b):
            return a + 1, b * 2

    out = op("Sequential2", Pair(), Pair())(torch.tensor(1.0), torch.tensor(3.0))
    assert [float(v) for v in out] == [3.0, 12.0]


def test_reversed_gradient():
    """Identity forward; the gradient times -grad_scaling backward; a negative scaling asserts."""
    layer = op("ReverseGrad")
    x = torch.ones(2, requires_grad=True)
    out = layer(x, grad_scaling=0.5)
    assert out.tolist() == [1.0, 1.0]
    out.sum().backward()
    assert x.grad.tolist() == [-0.5, -0.5]
    with pytest.raises(or_user_error(AssertionError)):
        layer(x, -1.0)


def test_cross_entropy():
    """With label smoothing; reductions mean, sum, none; another is a ValueError."""
    torch.manual_seed(0)
    logits, target = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 1])
    for reduction in ("mean", "sum", "none"):
        own = op("cross_entropy", logits, target, reduction=reduction)
        assert torch.allclose(own, torch.nn.functional.cross_entropy(logits, target, reduction=reduction), atol=1e-6)
    smooth = op("cross_entropy", logits, target, label_smooth=0.1)
    plain = op("cross_entropy", logits, target)
    assert smooth.dim() == 0 and not torch.allclose(smooth, plain)
    with pytest.raises(ValueError):
        op("cross_entropy", logits, target, reduction="median")


def test_transport():
    """Distances of two batches that grow with their distance; metrics cosine, euclidean and fast_euclidean."""
    torch.manual_seed(0)
    x = torch.randn(8, 4).abs()
    far = x * torch.tensor([1.0, 1.0, -1.0, -1.0])
    for name in ("SinkhornDivergence", "MinibatchEnergyDistance"):
        for metric in ("cosine", "euclidean", "fast_euclidean"):
            measure = op(name, dist_metric=metric)
            near, distant = float(measure(x, x)), float(measure(x, far))
            assert distant == distant and distant > near, (name, metric, near, distant)


def test_helpers():
    """sharpen_prob makes rows more certain; reverse and shuffle reorder data and labels alike; one-hot rows; ramps from
    0 to 1; the teacher moves to alpha x teacher + (1 - alpha) x model.
    """
    p = torch.tensor([[0.6, 0.4]])
    sharp = op("utils.sharpen_prob", p, temperature=2)
    assert torch.allclose(sharp, p**2 / (p**2).sum()) and sharp[0, 0] > 0.6
    data, label = torch.arange(6.0).view(6, 1), torch.arange(6)
    a, b = op("utils.reverse_index", data, label)
    assert (a.flatten().tolist(), b.tolist()) == ([5.0, 4.0, 3.0, 2.0, 1.0, 0.0], [5, 4, 3, 2, 1, 0])
    a, b = op("utils.shuffle_index", data, label)
    assert (sorted(b.tolist()), a.flatten().tolist()) == (list(range(6)), b.float().tolist())
    assert op("utils.create_onehot", torch.tensor([1, 0]), 3).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    ramp = [float(op("utils.sigmoid_rampup", t, 10)) for t in (0, 5, 10, 20)]
    assert 0 < ramp[0] < 0.01 and ramp[0] < ramp[1] < ramp[2] == ramp[3] == 1.0
    assert [float(op("utils.linear_rampup", t, 10)) for t in (0, 5, 10, 20)] == [0.0, 0.5, 1.0, 1.0]
    student, teacher = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    want = 0.9 * teacher.weight.item() + 0.1 * student.weight.item()
    op("utils.ema_model_update", student, teacher, 0.9)
    assert abs(teacher.weight.item() - want) < 1e-6
