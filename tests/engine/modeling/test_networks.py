import pytest
import torch
from dassl.modeling import NETWORK_REGISTRY, build_network
from dassl.modeling import network as package
from dassl.modeling.network.fcn import FCN, SpatialTransformer
from dassl.utils import ConfigError

pytestmark = pytest.mark.zoo

NAMES = ["fcn_3x32_gctx", "fcn_3x64_gctx", "fcn_3x32_gctx_stn", "fcn_3x64_gctx_stn"]
SMALL_STN = {"image_size": 16}


def settings(name):
    return SMALL_STN if name.endswith("stn") else {}


def test_registered_networks():
    names = NETWORK_REGISTRY.registered_names()  # with those that other tests registered
    ours = [name for name in names if NETWORK_REGISTRY.get(name).__module__.startswith("dassl.")]
    assert sorted(ours) == sorted(NAMES)
    assert all(getattr(package, name) is NETWORK_REGISTRY.get(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_perturbation_within_bounds_is_added(name, capsys):
    torch.manual_seed(0)
    network = build_network(name, **settings(name))
    assert capsys.readouterr().out == f"Network: {name}\n"
    x = torch.rand(2, 3, 16, 16)
    output, perturbation, warped = network(x, lmda=0.3, return_stn_output=True)
    assert output.shape == perturbation.shape == x.shape
    assert 0 < perturbation.abs().max() <= 1
    torch.testing.assert_close(warped, x, atol=1e-5, rtol=1e-5)  # the transformer starts as the identity
    torch.testing.assert_close(output, x + 0.3 * perturbation, atol=1e-5, rtol=1e-5)
    again, p = network(x, lmda=0.3, return_p=True)
    assert torch.equal(again, output) and torch.equal(p, perturbation)
    torch.testing.assert_close(network(x), x + perturbation, atol=1e-5, rtol=1e-5)

    network(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.to_perturbation[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize("name, channels, size", list(zip(NAMES, (32, 64, 32, 64), (None, None, 32, 224), strict=True)))
def test_widths_blocks_and_default_sizes(name, channels, size):
    with torch.device("meta"):
        network = build_network(name, verbose=False)
    assert network.features[0][0].out_channels == channels and len(network.features) == 1 + 3
    assert (network.transformer and network.transformer.image_size) == size


def test_the_context_of_each_pixel_is_the_average_over_the_image():
    network = build_network("fcn_3x32_gctx", verbose=False)
    seen = []
    network.fuse_context.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.rand(2, 3, 12, 10)
    network(x)
    features = network.features(x)
    average = features.mean(dim=(2, 3))[:, :, None, None]
    torch.testing.assert_close(seen[0], torch.cat([features, average.expand(2, 32, 12, 10)], dim=1))


def test_other_sizes_without_a_transformer():
    network = build_network("fcn_3x32_gctx", verbose=False)
    assert network(torch.rand(1, 3, 7, 12)).shape == (1, 3, 7, 12)


def test_the_transformer_moves_the_image():
    transformer = SpatialTransformer(8, channels=4, n_blocks=2)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        transformer.to_map.bias.copy_(torch.tensor([-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))  # mirror left and right
    warped, maps = transformer(x)
    assert maps.shape == (1, 2, 3)
    torch.testing.assert_close(warped, x.flip(3))


def test_a_transformer_has_one_image_size():
    network = FCN(4, 1, image_size=15)
    assert network(torch.rand(1, 3, 15, 15)).shape == (1, 3, 15, 15)
    with pytest.raises(ConfigError, match="made for images of 15 x 15 pixels, but got 16 x 15. .*INPUT.SIZE"):
        network(torch.rand(1, 3, 16, 15))
