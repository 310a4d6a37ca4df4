import sys

import pytest
import torch
from dassl.engine import SimpleNet
from dassl.modeling import (
    BACKBONE_REGISTRY,
    HEAD_REGISTRY,
    NETWORK_REGISTRY,
    Backbone,
    build_backbone,
    build_head,
    build_network,
)
from dassl.modeling.head.mlp import MLP
from dassl.utils import DownloadError, UnknownNameError, UserError


def test_torchvisions_weights_fit(capsys):
    import torchvision

    full = torchvision.models.resnet18(weights=None)
    missing, unexpected = build_backbone("resnet18", verbose=False, pretrained=False).load_state_dict(
        full.state_dict(), strict=False
    )
    assert missing == [] and unexpected == ["fc.weight", "fc.bias"]
    assert capsys.readouterr().out == ""


def test_weights_that_cannot_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda *args, **kwargs: (_ for _ in ()).throw(OSError("no net"))
    )
    with pytest.raises(DownloadError, match="pretrained weights of 'resnet18' .no net.*PRETRAINED False"):
        build_backbone("resnet18", pretrained=True)


def test_backbone_base_class():
    class Own(Backbone):
        def __init__(self):
            super().__init__()
            assert self.out_features is None
            self._out_features = 7

    assert Own().out_features == 7


@pytest.mark.parametrize("name", ["timm/resnet10t", "timm/mobilenetv3_small_050"])
def test_timm_models_are_backbones(name):
    pytest.importorskip("timm")
    backbone = build_backbone(name, verbose=False, pretrained=False).eval()
    assert backbone(torch.zeros(1, 3, 32, 32)).shape == (1, backbone.out_features)


def test_timm_names_and_absence(monkeypatch):
    pytest.importorskip("timm")
    with pytest.raises(UnknownNameError, match="'resnet50x'. Did you mean 'timm/resnet50"):
        build_backbone("timm/resnet50x")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="pip install timm"):
        build_backbone("timm/resnet50")


@pytest.mark.parametrize("build", [build_backbone, build_head, build_network])
def test_unknown_names(build):
    with pytest.raises(UnknownNameError, match=r"expected to belong to .* but got \[resnet19\] \(do you mean"):
        build("resnet19")
    assert [registry._name for registry in (BACKBONE_REGISTRY, HEAD_REGISTRY, NETWORK_REGISTRY)] == [
        "BACKBONE", "HEAD", "NETWORK",
    ]  # fmt: skip


def test_mlp_head(capsys):
    head = build_head("mlp", in_features=6, hidden_layers=[5, 4], activation="leaky_relu", dropout=0.5)
    assert capsys.readouterr().out == "Head: mlp\n"
    kinds = [type(layer).__name__ for layer in head]
    assert kinds == ["Linear", "BatchNorm1d", "LeakyReLU", "Dropout"] * 2
    assert head.out_features == 4 and head(torch.zeros(3, 6)).shape == (3, 4)
    assert [type(layer).__name__ for layer in MLP(6, 5, bn=False)] == ["Linear", "ReLU"]
    with pytest.raises(UnknownNameError, match="'gelu'. Known: relu, leaky_relu"):
        MLP(6, [5], activation="gelu")


def test_simple_net(make_cfg):
    images = torch.rand(2, 3, 8, 8)
    cfg = make_cfg("MODEL.HEAD.NAME", "mlp", "MODEL.HEAD.HIDDEN_LAYERS", (5,))
    net = SimpleNet(cfg, cfg.MODEL, 4).eval()
    logits, feature = net(images, return_feature=True)
    assert net.fdim == 5 and feature.shape == (2, 5) and logits.shape == (2, 4)
    torch.testing.assert_close(net(images), net.classifier(net.head(net.backbone(images))))

    cfg = make_cfg("MODEL.HEAD.NAME", "mlp")
    plain = SimpleNet(cfg, cfg.MODEL, 0).eval()
    assert plain.head is None and plain.classifier is None and plain.fdim == 3
    torch.testing.assert_close(plain(images, return_feature=True), images.mean((2, 3)))
    with pytest.raises(AttributeError):
        plain.fdim = 3
