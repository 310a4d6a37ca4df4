"""Section 1.7: backbones, heads and networks."""

import pytest
import torch
from dassl.modeling import (
    BACKBONE_REGISTRY,
    HEAD_REGISTRY,
    NETWORK_REGISTRY,
    Backbone,
    build_backbone,
    build_head,
    build_network,
)

from .catalogue import parameters, parameters_of, table

pytestmark = pytest.mark.zoo

SMALL = ("wide_resnet", "cnn_", "preact")  # networks for images of 32 pixels


@pytest.mark.parametrize("name, expected", table("backbone").items())
def test_backbone(name, expected):
    """build_backbone(name, pretrained=False) makes a network: images to features as wide as out_features."""
    with torch.device("meta"):  # shapes alone, so that 51 networks take seconds
        model = build_backbone(name, verbose=False, pretrained=False).eval()
        side = 32 if name.startswith(SMALL) else 224
        features = model(torch.empty(2, 3, side, side))
    assert tuple(features.shape) == (2, model.out_features)
    if expected:
        assert model.out_features == int(expected)


def test_number_of_backbones():
    """51 backbones are registered; each tolerates further keyword arguments."""
    names = set(table("backbone"))
    assert len(names) == 51
    assert names <= set(BACKBONE_REGISTRY.registered_names())
    with torch.device("meta"):
        BACKBONE_REGISTRY.get("resnet18")(pretrained=False, other=1)


def test_own_backbone(capsys):
    """A subclass sets _out_features, None before; a registered function is called with pretrained and more; the builder
    prints "Backbone: {n}" when verbose.
    """

    class Own(Backbone):
        def __init__(self, width):
            super().__init__()
            self._out_features = width

    assert issubclass(Backbone, torch.nn.Module) and Backbone().out_features is None

    def conformance_own(**kwargs):
        return Own(kwargs["width"])

    BACKBONE_REGISTRY.register(conformance_own, force=True)
    capsys.readouterr()
    made = build_backbone("conformance_own", pretrained=True, width=7)
    build_backbone("conformance_own", verbose=False, pretrained=True, width=7)
    assert (made.out_features, capsys.readouterr().out.splitlines()) == (7, ["Backbone: conformance_own"])


def test_head(capsys):
    """Layers of linear, batch norm, activation (relu, leaky_relu) and dropout; out_features is the last width."""
    assert "mlp" in HEAD_REGISTRY.registered_names()
    capsys.readouterr()
    made = build_head("mlp", in_features=4, hidden_layers=[8, 6], activation="leaky_relu", bn=False, dropout=0.5)
    assert (capsys.readouterr().out.splitlines(), made.out_features, type(made).__name__) == (["Head: mlp"], 6, "MLP")
    kinds = {type(m) for m in made.modules()}
    assert {torch.nn.Linear, torch.nn.LeakyReLU, torch.nn.Dropout} <= kinds and torch.nn.BatchNorm1d not in kinds
    assert tuple(made(torch.rand(3, 4)).shape) == (3, 6)
    stock = build_head("mlp", verbose=False, in_features=4, hidden_layers=[8])
    kinds = {type(m) for m in stock.modules()}
    assert {torch.nn.ReLU, torch.nn.BatchNorm1d} <= kinds and torch.nn.Dropout not in kinds


def test_head_arguments():
    """The arguments of mlp(**kwargs) are those of MLP, with its defaults."""
    mlp = HEAD_REGISTRY.get("mlp")
    assert parameters_of(mlp) == parameters("(**kwargs)")
    defaults = '(in_features=2048, hidden_layers=[], activation="relu", bn=True, dropout=0.0)'
    assert parameters_of(type(mlp())) == parameters(defaults)


@pytest.mark.parametrize("name, expected", table("network").items())
def test_network(name, expected):
    """The network is an image generator: images to images of the same size; those with stn take an image_size."""
    assert name in NETWORK_REGISTRY.registered_names()
    side = int(expected.partition("=")[2] or 32)
    made = build_network(name, verbose=False).eval()
    with torch.no_grad():
        out = made(torch.rand(1, 3, side, side))
        out = out[0] if isinstance(out, tuple) else out
    assert tuple(out.shape) == (1, 3, side, side)
    if expected:
        build_network(name, verbose=False, image_size=48).eval()(torch.rand(1, 3, 48, 48))


def test_network_by_name(capsys):
    """The builder prints "Network: {n}" when verbose and hands on its keyword arguments."""

    def conformance_network(**kwargs):
        return kwargs

    NETWORK_REGISTRY.register(conformance_network, force=True)
    capsys.readouterr()
    assert build_network("conformance_network", a=1) == {"a": 1}
    build_network("conformance_network", verbose=False)
    assert capsys.readouterr().out.splitlines() == ["Network: conformance_network"]
