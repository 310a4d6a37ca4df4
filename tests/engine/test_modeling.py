import sys

import pytest
import torch
from dassl.modeling import (
    BACKBONE_REGISTRY,
    HEAD_REGISTRY,
    NETWORK_REGISTRY,
    build_backbone,
    build_head,
    build_network,
)
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


def test_an_unknown_activation_is_named():
    with pytest.raises(UnknownNameError, match="'gelu'. Known: relu, leaky_relu"):
        build_head("mlp", in_features=6, hidden_layers=[5], activation="gelu")
