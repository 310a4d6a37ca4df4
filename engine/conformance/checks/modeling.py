"""Section 1.7: backbones, heads and networks."""

import torch

from ..checking import check, equal, printed
from ..presence import check_signature

SMALL = ("wide_resnet", "cnn_", "preact")  # networks for images of 32 pixels


@check("backbone:*")
def backbone(entry):
    """build_backbone(name, pretrained=False) makes a network: images to features as wide as out_features."""
    from dassl.modeling import build_backbone

    with torch.device("meta"):  # shapes alone, so that 51 networks take seconds
        model = build_backbone(entry.short, verbose=False, pretrained=False).eval()
        side = 32 if entry.short.startswith(SMALL) else 224
        features = model(torch.empty(2, 3, side, side))
    equal(tuple(features.shape), (2, model.out_features))
    if entry.expected:
        equal(model.out_features, int(entry.expected))


@check("dassl.modeling.BACKBONE_REGISTRY")
def number_of_backbones():
    """51 backbones are registered; each tolerates further keyword arguments."""
    from dassl.modeling import BACKBONE_REGISTRY

    from ..catalogue import read_catalogue

    names = {entry.short for entry in read_catalogue().values() if entry.kind == "backbone"}
    equal(len(names), 51)
    assert names <= set(BACKBONE_REGISTRY.registered_names())
    with torch.device("meta"):
        BACKBONE_REGISTRY.get("resnet18")(pretrained=False, other=1)


@check("dassl.modeling.Backbone", "dassl.modeling.Backbone.out_features", "dassl.modeling.Backbone._out_features",
       "dassl.modeling.build_backbone", "line:Backbone: {n}")  # fmt: skip
def own_backbone():
    """A subclass sets _out_features, None before; a registered function is called with pretrained and more; the builder
    prints "Backbone: {n}" when verbose.
    """
    from dassl.modeling import BACKBONE_REGISTRY, Backbone, build_backbone

    class Own(Backbone):
        def __init__(self, width):
            super().__init__()
            self._out_features = width

    assert issubclass(Backbone, torch.nn.Module) and Backbone().out_features is None

    def conformance_own(**kwargs):
        return Own(kwargs["width"])

    BACKBONE_REGISTRY.register(conformance_own, force=True)
    with printed() as text:
        made = build_backbone("conformance_own", pretrained=True, width=7)
        build_backbone("conformance_own", verbose=False, pretrained=True, width=7)
    equal((made.out_features, text.lines), (7, ["Backbone: conformance_own"]))


@check("head:mlp", "head:MLP", "head:MLP.out_features", "dassl.modeling.build_head", "dassl.modeling.HEAD_REGISTRY",
       "line:Head: {n}", "cfg.MODEL.HEAD.NAME", "cfg.MODEL.HEAD.HIDDEN_LAYERS", "cfg.MODEL.HEAD.ACTIVATION",
       "cfg.MODEL.HEAD.BN",
       "cfg.MODEL.HEAD.DROPOUT")  # fmt: skip
def head():
    """Layers of linear, batch norm, activation (relu, leaky_relu) and dropout; out_features is the last width."""
    from dassl.modeling import HEAD_REGISTRY, build_head

    assert "mlp" in HEAD_REGISTRY.registered_names()
    with printed() as text:
        made = build_head("mlp", in_features=4, hidden_layers=[8, 6], activation="leaky_relu", bn=False, dropout=0.5)
    equal((text.lines, made.out_features, type(made).__name__), (["Head: mlp"], 6, "MLP"))
    kinds = {type(m) for m in made.modules()}
    assert {torch.nn.Linear, torch.nn.LeakyReLU, torch.nn.Dropout} <= kinds and torch.nn.BatchNorm1d not in kinds
    equal(tuple(made(torch.rand(3, 4)).shape), (3, 6))
    stock = build_head("mlp", verbose=False, in_features=4, hidden_layers=[8])
    kinds = {type(m) for m in stock.modules()}
    assert {torch.nn.ReLU, torch.nn.BatchNorm1d} <= kinds and torch.nn.Dropout not in kinds


@check("head:mlp", "head:MLP")
def head_arguments():
    """The arguments of mlp(**kwargs) are those of MLP, with its defaults."""
    from dassl.modeling import HEAD_REGISTRY

    mlp = HEAD_REGISTRY.get("mlp")
    check_signature(mlp, "(**kwargs)")
    check_signature(type(mlp()), '(in_features=2048, hidden_layers=[], activation="relu", bn=True, dropout=0.0)')


@check("network:*")
def network(entry):
    """The network is an image generator: images to images of the same size; those with stn take an image_size."""
    from dassl.modeling import NETWORK_REGISTRY, build_network

    assert entry.short in NETWORK_REGISTRY.registered_names()
    side = int(entry.expected.partition("=")[2] or 32)
    made = build_network(entry.short, verbose=False).eval()
    with torch.no_grad():
        out = made(torch.rand(1, 3, side, side))
        out = out[0] if isinstance(out, tuple) else out
    equal(tuple(out.shape), (1, 3, side, side))
    if entry.expected:
        build_network(entry.short, verbose=False, image_size=48).eval()(torch.rand(1, 3, 48, 48))


@check("dassl.modeling.build_network", "dassl.modeling.NETWORK_REGISTRY", "line:Network: {n}")
def network_by_name():
    """The builder prints "Network: {n}" when verbose and hands on its keyword arguments."""
    from dassl.modeling import NETWORK_REGISTRY, build_network

    def conformance_network(**kwargs):
        return kwargs

    NETWORK_REGISTRY.register(conformance_network, force=True)
    with printed() as text:
        equal(build_network("conformance_network", a=1), {"a": 1})
        build_network("conformance_network", verbose=False)
    equal(text.lines, ["Network: conformance_network"])
