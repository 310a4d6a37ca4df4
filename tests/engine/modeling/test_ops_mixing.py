import random

import pytest
import torch
from dassl.modeling import ops
from dassl.modeling.ops import EFDMix, MixStyle, mixup
from dassl.utils import UnknownNameError
from torch import nn

pytestmark = pytest.mark.zoo

LAYERS = {"mixstyle": MixStyle, "efdmix": EFDMix}


@pytest.fixture
def images():
    """Six feature maps (6, 2, 5, 5), image i with values around 10 i."""
    torch.manual_seed(0)
    return torch.randn(6, 2, 5, 5) * torch.rand(6, 2, 1, 1).add(0.5) + 10 * torch.arange(6.0).view(6, 1, 1, 1)


def always(layer, share, **kwargs):
    """A layer that mixes each batch and keeps the given share of each image's own style."""
    mixing = layer(p=1.0, **kwargs)
    mixing.beta.sample = lambda shape: torch.full(shape, share)
    return mixing


def partners(mixed, images):
    """Return the image whose mean value each image has taken, if nothing of its own was kept."""
    return (mixed.mean(dim=(2, 3))[:, None] - images.mean(dim=(2, 3))[None]).abs().sum(dim=2).argmin(dim=1)


def test_mixup_of_images_and_labels():
    x1, x2 = torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2)
    y1, y2 = torch.tensor([[1.0, 0.0]]).repeat(50, 1), torch.tensor([[0.0, 1.0]]).repeat(50, 1)
    torch.manual_seed(1)
    x, y = mixup(x1, x2, y1, y2, beta=0.75)
    torch.manual_seed(1)
    share = torch.distributions.Beta(0.75, 0.75).sample([50, 1, 1, 1])
    torch.testing.assert_close(x, share.expand(50, 1, 2, 2))
    torch.testing.assert_close(y, torch.cat([share, 1 - share], dim=1)[:, :, 0, 0])
    assert share.min() < 0.5

    torch.manual_seed(1)
    ordered, _ = mixup(x1, x2, y1, y2, 0.75, preserve_order=True)
    torch.testing.assert_close(ordered, torch.max(x, 1 - x))


def test_mixup_takes_images_only():
    rows = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"needs images \(B, C, H, W\), but got \(4, 3\) and \(4, 3\)"):
        mixup(rows, rows, rows, rows, 1.0)


def test_mixstyle_keeps_the_content_and_mixes_the_statistics(images):
    mixed = always(MixStyle, 0.25, mix="crossdomain")(images)
    torch.testing.assert_close(normalised(mixed), normalised(images), atol=1e-4, rtol=1e-4)
    mean = images.mean(dim=(2, 3))
    from_partners = (mixed.mean(dim=(2, 3)) - 0.25 * mean) / 0.75
    order = (from_partners[:, None] - mean[None]).abs().sum(dim=2).argmin(dim=1)
    torch.testing.assert_close(from_partners, mean[order], atol=1e-4, rtol=1e-4)
    std = images.std(dim=(2, 3))
    torch.testing.assert_close(mixed.std(dim=(2, 3)), 0.25 * std + 0.75 * std[order], atol=1e-4, rtol=1e-4)


def normalised(maps):
    return (maps - maps.mean(dim=(2, 3), keepdim=True)) / maps.std(dim=(2, 3), keepdim=True)


def test_mixstyle_has_no_gradient_through_statistics(images):
    images.requires_grad_()
    mixed = always(MixStyle, 0.0)(images)
    factors = torch.rand_like(images)
    (factors * mixed).sum().backward()
    ratio = (mixed.std(dim=(2, 3), keepdim=True) / images.std(dim=(2, 3), keepdim=True)).detach()
    torch.testing.assert_close(images.grad, factors * ratio, atol=1e-4, rtol=1e-4)


def test_mixstyle_of_maps_of_one_pixel_is_finite():
    assert always(MixStyle, 0.5)(torch.randn(4, 3, 1, 1)).isfinite().all()


def test_efdmix_takes_over_the_whole_distribution_in_the_images_own_order(images):
    mixed = always(EFDMix, 0.0)(images)
    order = partners(mixed, images)
    torch.testing.assert_close(mixed.flatten(2).sort(dim=2).values, images[order].flatten(2).sort(dim=2).values)
    assert torch.equal(mixed.flatten(2).argsort(dim=2), images.flatten(2).argsort(dim=2))

    part = always(EFDMix, 0.75)
    torch.manual_seed(0)
    whole = always(EFDMix, 0.0)(images)
    torch.manual_seed(0)
    torch.testing.assert_close(part(images), 0.75 * images + 0.25 * whole)


def test_gradient_of_efdmix(images):
    images.requires_grad_()
    always(EFDMix, 0.75)(images).sum().backward()
    # 1 from itself, whose share is taken away as a constant, and 0.25 as a partner
    torch.testing.assert_close(images.grad, torch.full_like(images, 1.25))


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("size", [6, 5, 1])
def test_partners(layer, size, images):
    images = images[:size]
    for seed in range(5):
        torch.manual_seed(seed)
        across = partners(always(layer, 0.0, mix="crossdomain")(images), images)
        assert sorted(across.tolist()) == list(range(size))
        if size == 6:
            assert set(across[:3].tolist()) == {3, 4, 5}
        anyone = partners(always(layer, 0.0, mix="random")(images), images)
        assert sorted(anyone.tolist()) == list(range(size))


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_draws_of_a_step(layer, images):
    """One number of Python's generator; then shares and one permutation of torch's."""
    random.seed(0), torch.manual_seed(0)
    layer(p=1.0)(images)
    after = random.random(), torch.rand(1)
    random.seed(0), torch.manual_seed(0)
    random.random(), torch.distributions.Beta(0.1, 0.1).sample((6, 1, 1, 1)), torch.randperm(6)
    assert after == (random.random(), torch.rand(1))


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_when_it_acts(layer, images):
    random.seed(0)
    mixing = layer(p=0.25)
    acted = sum(mixing(images) is not images for _ in range(400)) / 400
    assert acted == pytest.approx(0.25, abs=0.06)
    assert all(layer(p=0.0)(images) is images for _ in range(20))
    mixing = always(layer, 0.0)
    mixing.set_activation_status(False)
    assert mixing(images) is images
    mixing.set_activation_status(True)
    assert mixing(images) is not images
    assert mixing.eval()(images) is images
    torch.testing.assert_close(always(layer, 1.0)(images), images)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_unknown_mix_methods(layer):
    with pytest.raises(UnknownNameError, match="'both'. Known: random, crossdomain"):
        layer(mix="both")
    mixing = layer()
    mixing.update_mix_method("crossdomain")
    with pytest.raises(ValueError):
        mixing.update_mix_method("both")
    assert mixing.mix == "crossdomain"


@pytest.mark.parametrize("suffix", LAYERS)
@pytest.mark.parametrize("through_apply", [True, False])
def test_switches_of_a_whole_model(suffix, through_apply):
    layer, other = LAYERS[suffix](), next(LAYERS[name] for name in LAYERS if name != suffix)()
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(layer), other)

    def call(name):
        switch = getattr(ops, f"{name}_{suffix}")
        assert switch.__name__ == f"{name}_{suffix}"
        model.apply(switch) if through_apply else switch(model)

    call("crossdomain")
    assert layer.mix == "crossdomain"
    call("random")
    assert layer.mix == "random"
    call("deactivate")
    assert not layer._activated
    call("activate")
    assert layer._activated
    assert other._activated and other.mix == "random"


@pytest.mark.parametrize("suffix", LAYERS)
def test_blocks_with_and_without(suffix):
    layer = LAYERS[suffix]()
    model = nn.Sequential(layer)
    run_with, run_without = (getattr(ops, f"{name}_{suffix}") for name in ("run_with", "run_without"))
    with run_without(model):
        assert not layer._activated
    assert layer._activated
    with run_with(model):
        assert layer._activated and layer.mix == "random"
    assert not layer._activated
    with pytest.raises(KeyError), run_with(model, mix="crossdomain"):
        assert layer._activated and layer.mix == "crossdomain"
        raise KeyError
    assert not layer._activated
    with pytest.raises(KeyError), run_without(model):
        raise KeyError
    assert layer._activated
