import random

import pytest
import torch
import torchvision
from dassl.modeling import BACKBONE_REGISTRY, build_backbone
from dassl.modeling import backbone as package
from dassl.modeling.ops import Conv2dDynamic, EFDMix, MixStyle
from dassl.utils import ConfigError, DownloadError
from torch import nn

pytestmark = pytest.mark.zoo

DEPTHS = {18: 512, 50: 2048, 101: 2048}
STAGES = {"l1": ["layer1"], "l12": ["layer1", "layer2"], "l123": ["layer1", "layer2", "layer3"]}
MIXING = {"ms": MixStyle, "efdmix": EFDMix}
WIDTHS = {
    "alexnet": 4096, "vgg16": 4096, "resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048,
    "resnet152": 2048, "wide_resnet_28_2": 128, "wide_resnet_16_4": 256, "preact_resnet18": 512,
    "cnn_digitsdg": 256, "cnn_digitsingle": 1024, "cnn_digit5_m3sda": 2048,
    **dict(zip([f"efficientnet_b{n}" for n in range(8)],
               [1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560], strict=True)),
    **{f"resnet{depth}_{mixing}_{stages}": width
       for depth, width in DEPTHS.items() for mixing in MIXING for stages in STAGES},
    **{f"resnet{depth}_dynamic{mixing}": width
       for depth, width in DEPTHS.items() for mixing in ("", *(f"_ms_{stages}" for stages in STAGES))},
}  # fmt: skip


def build(name):
    return build_backbone(name, verbose=False, pretrained=False)


def mixing_layers(model):
    """(stage, class) of each mixing layer, in order."""
    return [(name.split(".")[0], type(part)) for name, part in model.named_modules() if type(part) in MIXING.values()]


def test_registered_backbones():
    names = BACKBONE_REGISTRY.registered_names()  # with those that other tests registered
    ours = [name for name in names if BACKBONE_REGISTRY.get(name).__module__.startswith("dassl.")]
    assert sorted(ours) == sorted(WIDTHS) and len(ours) == 51
    assert package.resnet18 is BACKBONE_REGISTRY.get("resnet18")
    assert all(BACKBONE_REGISTRY.get(name).__name__ == name and BACKBONE_REGISTRY.get(name).__doc__ for name in ours)
    with pytest.raises(AttributeError, match="'dassl.modeling.backbone' has no attribute 'resnet19'"):
        package.resnet19  # noqa: B018


@pytest.fixture
def constant_weights(monkeypatch):
    """All first weights are 0.01, because drawing those of a large network takes longer than using them."""
    for name in ("uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_"):
        monkeypatch.setattr(nn.init, name, lambda weight, *args, **kwargs: nn.init.constant_(weight, 0.01))


@pytest.mark.parametrize("name", WIDTHS)
def test_features_have_the_stated_width_and_gradients_reach_every_parameter(name, constant_weights, capsys):
    wide = name in ("alexnet", "vgg16")  # with linear layers of half a gigabyte; numbers are left out there
    with torch.device("meta" if wide else "cpu"):
        backbone = build_backbone(name, pretrained=False, unused=1)
        features = backbone(torch.rand(2, 3, 64, 64) if wide else torch.rand(2, 3, 32, 32))
    assert capsys.readouterr().out == f"Backbone: {name}\n"
    assert features.shape == (2, backbone.out_features) == (2, WIDTHS[name])
    features.square().sum().backward()
    assert [key for key, parameter in backbone.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("mixing", ["ms", "efdmix", "dynamic_ms"])
def test_mixing_layers_follow_the_named_stages(mixing, stages):
    model = build(f"resnet18_{mixing}_{stages}")
    layer = MIXING[mixing.removeprefix("dynamic_")]
    assert mixing_layers(model) == [(stage, layer) for stage in STAGES[stages]]
    for stage in STAGES[stages]:
        last = getattr(model, stage)[-1]
        assert (type(last), last.p, last.alpha, last.mix) == (layer, 0.5, 0.1, "random")


@pytest.mark.parametrize("mixing", MIXING)
def test_mixing_acts_in_training_only_and_changes_nothing_else(mixing):
    torch.manual_seed(0)
    plain = build("resnet18")
    torch.manual_seed(0)
    model = build(f"resnet18_{mixing}_l12")
    assert list(model.state_dict()) == list(plain.state_dict())
    x = torch.rand(4, 3, 32, 32)
    for part in model.modules():
        if type(part) is MIXING[mixing]:
            part.p = 0.0
    assert torch.equal(model(x), plain(x))  # the same first weights too
    assert torch.equal(model.eval()(x), plain.eval()(x))
    random.seed(0)
    for net in (model, plain):
        net.train()
    model.layer1[-1].p = 1.0
    assert not torch.allclose(model(x), plain(x), atol=1e-3)


@pytest.mark.parametrize("depth, convolutions", [(18, 16), (50, 16), (101, 33)])
def test_every_3x3_convolution_of_a_block_is_dynamic(depth, convolutions):
    with torch.device("meta"):
        model = build(f"resnet{depth}_dynamic")
    kinds = {name: type(part) for name, part in model.named_modules() if getattr(part, "kernel_size", 0) == (3, 3)}
    static = [name for name, kind in kinds.items() if kind is not Conv2dDynamic and ".templates." not in name]
    assert static == [] and list(kinds.values()).count(Conv2dDynamic) == convolutions


def test_dynamic_convolutions_attend_to_the_input_of_their_block():
    block = build("resnet50_dynamic").layer2[0].eval()
    seen = []
    block.conv2.attention.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.rand(1, 256, 8, 8)
    block(x)
    assert torch.equal(seen[0], x)


@pytest.fixture
def fetched(monkeypatch):
    """Torchvision hands out networks with random "ImageNet" weights; the dict holds those made, by name."""
    made = {}
    get_model = torchvision.models.get_model

    def get(name, weights=None):
        model = get_model(name)
        if weights is not None:
            assert weights == "IMAGENET1K_V1"
            for part in model.modules():
                if isinstance(part, nn.BatchNorm2d):
                    nn.init.uniform_(part.running_mean, -0.1, 0.1)
            made[name] = model
        return model

    monkeypatch.setattr(torchvision.models, "get_model", get)
    return made


@pytest.mark.parametrize("variant", ["", "_ms_l123", "_efdmix_l1", "_dynamic", "_dynamic_ms_l12"])
@pytest.mark.parametrize("stock", ["resnet18", "resnet50"])
def test_pretrained_variants_start_as_the_pretrained_network(stock, variant, fetched):
    torch.manual_seed(0)
    model = build_backbone(stock + variant, verbose=False).eval()
    plain = fetched[stock].eval()
    plain.fc = nn.Identity()
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model(x), plain(x), atol=1e-5, rtol=1e-4)


def test_templates_of_a_pretrained_network_learn(fetched):
    model = build_backbone("resnet18_dynamic", verbose=False)
    model(torch.rand(2, 3, 32, 32)).square().sum().backward()
    conv = model.layer1[0].conv2
    assert all(template.weight.grad.abs().max() > 0 for template in conv.templates)


def test_weights_of_a_variant_that_cannot_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no net")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    for name in ("resnet18_ms_l1", "resnet18_dynamic"):
        with pytest.raises(DownloadError, match="pretrained weights of 'resnet18' .no net.*PRETRAINED False"):
            build_backbone(name, verbose=False)


@pytest.mark.parametrize(
    "name, parameters",
    [("wide_resnet_28_2", 1_467_610 - 1_290), ("wide_resnet_16_4", 2_748_890 - 2_570),
     ("preact_resnet18", 11_171_146 + 1_024 - 5_130 )],
)  # fmt: skip
def test_sizes_of_published_networks(name, parameters):
    """Those with a classifier of ten classes, less the classifier; and ours has the last batch norm of the paper."""
    assert sum(parameter.numel() for parameter in build(name).parameters()) == parameters


@pytest.mark.parametrize("name", ["wide_resnet_16_4", "preact_resnet18"])
def test_preactivated_networks_take_any_size(name):
    assert build(name)(torch.rand(2, 3, 20, 28)).shape == (2, WIDTHS[name])


@pytest.mark.parametrize("name", ["cnn_digitsdg", "cnn_digitsingle", "cnn_digit5_m3sda"])
def test_digit_networks_take_32_pixels(name):
    with pytest.raises(ConfigError, match=rf"'{name}' needs images of 32 x 32 pixels, but got 28 x 32. Set INPUT.SIZE"):
        build(name)(torch.rand(2, 3, 28, 32))


def test_layers_of_the_digit_networks():
    def shapes(name):
        parts = (part for part in build(name).modules() if isinstance(part, (nn.Conv2d, nn.Linear)))
        return [tuple(part.weight.shape) for part in parts]

    assert shapes("cnn_digitsdg") == [(64, 3, 3, 3), *[(64, 64, 3, 3)] * 3]
    assert shapes("cnn_digitsingle") == [(64, 3, 5, 5), (128, 64, 5, 5), (1024, 3200), (1024, 1024)]
    assert shapes("cnn_digit5_m3sda") == [
        (64, 3, 5, 5), (64, 64, 5, 5), (128, 64, 5, 5), (3072, 8192), (2048, 3072),
    ]  # fmt: skip
