import pytest
import torch
from dassl.modeling.ops import (
    Attention,
    Conv2dDynamic,
    DSBN1d,
    DSBN2d,
    ReverseGrad,
    Sequential2,
    TransNorm1d,
    TransNorm2d,
)
from torch import nn
from torch.nn import functional as F

pytestmark = pytest.mark.zoo


@pytest.mark.parametrize("scaling", [1.0, 0.25, 0])
def test_reversed_gradient(scaling):
    x = torch.tensor([[1.0, -2.0]], requires_grad=True)
    out = ReverseGrad()(x, grad_scaling=scaling)
    assert torch.equal(out, x)
    (3 * out).sum().backward()
    assert x.grad.tolist() == [[-3 * scaling, -3 * scaling]]


def test_reversed_gradient_refuses_a_negative_factor():
    with pytest.raises(AssertionError, match="grad_scaling must not be negative, but got -0.5"):
        ReverseGrad()(torch.zeros(1), grad_scaling=-0.5)


def test_chain_of_several_inputs():
    class Swap(nn.Module):
        def forward(self, a, b):
            return b, a

    class Subtract(nn.Module):
        def forward(self, a, b):
            return a - b

    a, b = torch.tensor(5.0), torch.tensor(3.0)
    assert Sequential2(Swap(), Subtract(), nn.ReLU())(b, a) == 2
    assert Sequential2(Swap(), Swap())(a, b) == (a, b)
    assert Sequential2(nn.ReLU())(-a) == 0


def test_attention():
    attention = Attention(3, 4, squeeze=2)
    x = torch.randn(5, 3, 6, 7)
    weights = attention(x)
    assert weights.shape == (5, 4)
    hidden = F.relu(x.flatten(2).mean(dim=2) @ attention.fc1.weight.t() + attention.fc1.bias)
    scores = hidden @ attention.fc2.weight.t() + attention.fc2.bias
    torch.testing.assert_close(weights, scores.exp() / scores.exp().sum(dim=1, keepdim=True))
    assert Attention(64, 4).squeeze == 4 and Attention(8, 4).squeeze == 1
    assert Attention(64, 4, bias=False).fc1.bias is None


@pytest.mark.parametrize("kernel_size, stride", [(3, 1), (3, 2), (5, 2), (1, 1)])
def test_dynamic_convolution_is_one_kernel_for_each_image(kernel_size, stride):
    pad = kernel_size // 2
    layer = Conv2dDynamic(3, 4, kernel_size, stride, pad, attention_in_channels=2)
    x, other = torch.randn(5, 3, 9, 8), torch.randn(5, 2, 3, 3)
    out = layer(x, attention_x=other)
    weights = layer.attention(other)
    for number in range(5):
        kernel, bias = layer.weight.clone(), layer.bias.clone()
        for template, weight in zip(layer.templates, weights[number], strict=True):
            height, width = (pad - size // 2 for size in template.kernel_size)
            kernel += weight * F.pad(template.weight, (width, width, height, height))
            bias += weight * template.bias
        expected = F.conv2d(x[number : number + 1], kernel, bias, stride, pad)
        torch.testing.assert_close(out[number : number + 1], expected, atol=1e-5, rtol=1e-4)
    assert sorted(template.kernel_size for template in layer.templates) == sorted(
        [(kernel_size, kernel_size), (1, 1), (kernel_size, 1), (1, kernel_size)]
    )


def test_dynamic_convolution_looks_at_its_input_by_default_and_takes_plain_weights():
    layer = Conv2dDynamic(3, 4, 3, 1, 1, bias=False)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(layer(x), layer(x, x))
    missing, unexpected = layer.load_state_dict(nn.Conv2d(3, 4, 3, bias=False).state_dict(), strict=False)
    assert unexpected == [] and {name.split(".")[0] for name in missing} == {"templates", "attention"}


@pytest.mark.parametrize(
    "kernel_size, padding, message", [(4, 2, "odd kernel_size, but got 4"), (3, 0, "padding 1 .* got 0")]
)
def test_dynamic_convolution_refuses(kernel_size, padding, message):
    with pytest.raises(ValueError, match=message):
        Conv2dDynamic(3, 4, kernel_size, 1, padding)


@pytest.mark.parametrize(
    "layer, norm, shape", [(DSBN1d, nn.BatchNorm1d, (8, 3)), (DSBN2d, nn.BatchNorm2d, (8, 3, 4, 4))]
)
def test_each_domain_has_its_own_statistics(layer, norm, shape):
    torch.manual_seed(0)
    domains = [torch.randn(shape), 5 + 2 * torch.randn(shape)]
    dsbn, singles = layer(3, 2), [norm(3), norm(3)]
    for number in (1, 0, 1):
        dsbn.select_bn(number)
        torch.testing.assert_close(dsbn(domains[number]), singles[number](domains[number]))
    dsbn.eval()
    for number, single in enumerate(singles):
        dsbn.select_bn(number)
        torch.testing.assert_close(dsbn(domains[number]), single.eval()(domains[number]))
    assert dsbn.bn[1].running_mean.min() > 0.5 > dsbn.bn[0].running_mean.max()


def test_domains_of_dsbn():
    dsbn = DSBN1d(3, 2)
    dsbn.select_bn(1)
    dsbn.select_bn()
    assert dsbn.domain_idx == 0
    for wrong in (2, -1):
        with pytest.raises(IndexError, match=f"between 0 and 1, but got {wrong}"):
            dsbn.select_bn(wrong)


TRANSNORMS = [(TransNorm1d, nn.BatchNorm1d, (8, 3)), (TransNorm1d, nn.BatchNorm1d, (8, 3, 5)),
              (TransNorm2d, nn.BatchNorm2d, (8, 3, 4, 4))]  # fmt: skip


def alphas(source, target, eps=1e-5):
    """The paper's weights of channels from two batches (B, C, ...)."""
    means, stds = [], []
    for batch in (source, target):
        values = batch.transpose(0, 1).flatten(1)
        means.append(values.mean(dim=1))
        stds.append((values.var(dim=1) + eps).sqrt())
    closeness = 1 / (1 + (means[0] / stds[0] - means[1] / stds[1]).abs())
    return source.size(1) * closeness / closeness.sum()


@pytest.mark.parametrize("layer, norm, shape", TRANSNORMS)
@pytest.mark.parametrize("adaptive", [False, True])
def test_transnorm_normalises_each_domain_and_stresses_close_channels(layer, norm, shape, adaptive):
    torch.manual_seed(0)
    source, target = torch.randn(shape), 1 + 2 * torch.randn(shape)
    per_channel = (1, -1, *[1] * (len(shape) - 2))
    scale = 1 + alphas(source, target).view(per_channel) if adaptive else 1.0
    layer, norms = layer(3, adaptive_alpha=adaptive), [norm(3), norm(3)]
    out = layer(torch.cat([source, target]))
    torch.testing.assert_close(out, scale * torch.cat([norms[0](source), norms[1](target)]))
    for name, single in zip("st", norms, strict=True):
        torch.testing.assert_close(getattr(layer, f"running_mean_{name}"), single.running_mean)
        torch.testing.assert_close(getattr(layer, f"running_var_{name}"), single.running_var)

    # evaluation: all examples are of the target
    layer.eval(), norms[1].eval()
    if adaptive:
        ratios = [single.running_mean / (single.running_var + 1e-5).sqrt() for single in norms]
        closeness = 1 / (1 + (ratios[0] - ratios[1]).abs())
        scale = 1 + (3 * closeness / closeness.sum()).view(per_channel)
    torch.testing.assert_close(layer(source[:3]), scale * norms[1](source[:3]))


def test_transnorm_of_equal_domains_doubles_batch_norm_and_learns_one_scale():
    torch.manual_seed(0)
    half = torch.randn(6, 4)
    layer = TransNorm1d(4)
    with torch.no_grad():
        layer.weight.fill_(3.0), layer.bias.fill_(0.5)
    out = layer(half.repeat(2, 1))
    expected = 2 * (3 * F.batch_norm(half, None, None, training=True) + 0.5)
    torch.testing.assert_close(out, expected.repeat(2, 1))
    out.sum().backward()
    torch.testing.assert_close(layer.bias.grad, torch.full((4,), 24.0))
    layer.reset_parameters()
    assert (layer.weight == 1).all() and (layer.running_mean_s == 0).all() and (layer.running_var_t == 1).all()


def test_weights_of_channels_are_constants_to_the_gradient():
    torch.manual_seed(0)
    x = torch.cat([torch.randn(8, 3), 1 + 2 * torch.randn(8, 3)]).requires_grad_()
    factors = torch.randn(16, 3)
    (of_layer,) = torch.autograd.grad((factors * TransNorm1d(3)(x)).sum(), x)
    scale = 1 + alphas(*x.detach().chunk(2))
    plain = torch.cat([F.batch_norm(half, None, None, training=True) for half in x.chunk(2)])
    (expected,) = torch.autograd.grad((factors * scale * plain).sum(), x)
    torch.testing.assert_close(of_layer, expected)


def test_transnorm_refuses():
    with pytest.raises(ValueError, match="as many source as target examples, but got a batch of 3"):
        TransNorm1d(2)(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"TransNorm2d needs 4 dimensions, but got the shape \(4, 2\)"):
        TransNorm2d(2)(torch.zeros(4, 2))
