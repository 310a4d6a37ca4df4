"""The small networks of the papers on digits: images (B, 3, 32, 32) -> features (B, D). None has pretrained weights."""

from torch import nn

from dassl.utils import ConfigError

from .backbone import Backbone
from .build import BACKBONE_REGISTRY

_SIZE = 32


class DigitCNN(Backbone):
    """A chain of layers for images of 3 x 32 x 32.

    Args:
        name (str): for messages.
        out_features (int): D.
        layers (nn.Module): the chain.

    Raises:
        ConfigError: (a ValueError, in the forward pass) images of another size.
    """

    def __init__(self, name, out_features, *layers):
        super().__init__()
        self.name = name
        self.layers = nn.Sequential(*layers)
        self._out_features = out_features

    def forward(self, x):
        if x.shape[2:] != (_SIZE, _SIZE):
            raise ConfigError(
                f"The backbone '{self.name}' needs images of {_SIZE} x {_SIZE} pixels, but got "
                f"{x.size(2)} x {x.size(3)}. Set INPUT.SIZE ({_SIZE}, {_SIZE})"
            )
        return self.layers(x)


@BACKBONE_REGISTRY.register()
def cnn_digitsdg(pretrained=True, **kwargs):
    """Four 3 x 3 convolutions of 64 channels, each with ReLU and 2 x 2 max pooling; D = 256.

    Source: Deep Domain-Adversarial Image Generation for Domain Generalisation, AAAI 2020, section 4.1.
    """
    layers = []
    for in_channels in (3, 64, 64, 64):
        conv = nn.Conv2d(in_channels, 64, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight)
        nn.init.zeros_(conv.bias)
        layers += [conv, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return DigitCNN("cnn_digitsdg", 256, *layers, nn.Flatten())


@BACKBONE_REGISTRY.register()
def cnn_digitsingle(pretrained=True, **kwargs):
    """Convolutions 5 x 5 of 64 and 128 channels with 2 x 2 max pooling, two linear layers; D = 1024.

    Source: Generalizing to Unseen Domains via Adversarial Data Augmentation, NeurIPS 2018, section 5;
    also Learning to Learn Single Domain Generalization, CVPR 2020.
    """
    layers = []
    for in_channels, out_channels in ((3, 64), (64, 128)):
        layers += [nn.Conv2d(in_channels, out_channels, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for in_features in (128 * 5 * 5, 1024):
        layers += [nn.Linear(in_features, 1024), nn.ReLU(inplace=True)]
    return DigitCNN("cnn_digitsingle", 1024, *layers)


@BACKBONE_REGISTRY.register()
def cnn_digit5_m3sda(pretrained=True, **kwargs):
    """Three 5 x 5 convolutions and two linear layers, all with batch norm; D = 2048.

    Source: Moment Matching for Multi-Source Domain Adaptation, ICCV 2019, the network for Digit-5.
    """
    layers = []
    for in_channels, out_channels, pooled in ((3, 64, True), (64, 64, True), (64, 128, False)):
        conv = nn.Conv2d(in_channels, out_channels, 5, padding=2)
        layers += [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
        if pooled:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    layers += [nn.Flatten(), nn.Linear(128 * 8 * 8, 3072), nn.BatchNorm1d(3072), nn.ReLU(inplace=True), nn.Dropout()]
    layers += [nn.Linear(3072, 2048), nn.BatchNorm1d(2048), nn.ReLU(inplace=True)]
    return DigitCNN("cnn_digit5_m3sda", 2048, *layers)
