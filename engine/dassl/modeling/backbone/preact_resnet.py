"""ResNets for small images, with normalisation and activation before each convolution."""

from functools import partial

from torch import nn

from .backbone import Backbone
from .build import BACKBONE_REGISTRY


def _conv3x3(in_channels, out_channels, stride=1):
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


class PreActBlock(nn.Module):
    """Twice batch norm, activation and 3 x 3 convolution, beside a shortcut: (B, in, H, W) -> (B, out, H', W').

    Where the size or the number of channels changes, the shortcut is a 1 x 1 convolution of the activated input.

    Args:
        in_channels, out_channels (int): channels of input and output.
        stride (int): of the first convolution and of the shortcut.
        activation (callable): makes the activation.
    """

    def __init__(self, in_channels, out_channels, stride, activation):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.act1 = activation()
        self.conv1 = _conv3x3(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.act2 = activation()
        self.conv2 = _conv3x3(out_channels, out_channels)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x):
        activated = self.act1(self.bn1(x))
        identity = x if self.shortcut is None else self.shortcut(activated)
        return identity + self.conv2(self.act2(self.bn2(self.conv1(activated))))


class PreActResNet(Backbone):
    """Convolution, stages of pre-activation blocks, batch norm, activation, average over the image.

    Images (B, 3, H, W) of any size, usually 32 x 32 -> features (B, last width).
    Source: Identity Mappings in Deep Residual Networks, ECCV 2016.

    Args:
        stem (int): channels of the first convolution.
        widths (tuple of int): channels of each stage; every stage but the first halves the size.
        blocks (int): blocks in each stage.
        activation (callable): makes the activation.
    """

    def __init__(self, stem, widths, blocks, activation):
        super().__init__()
        self.conv1 = _conv3x3(3, stem)
        stages = []
        channels = stem
        for number, width in enumerate(widths):
            stage = [PreActBlock(channels, width, 2 if number else 1, activation)]
            stage += [PreActBlock(width, width, 1, activation) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(channels)
        self.act = activation()
        self._out_features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        maps = self.act(self.bn(self.stages(self.conv1(x))))
        return maps.mean(dim=(2, 3))


def _wide_resnet(depth, width_factor):
    """Wide Residual Networks, BMVC 2016, with leaky ReLUs as usual in semi-supervised learning."""
    widths = tuple(width_factor * width for width in (16, 32, 64))
    return PreActResNet(16, widths, (depth - 4) // 6, partial(nn.LeakyReLU, 0.01, inplace=True))


@BACKBONE_REGISTRY.register()
def wide_resnet_28_2(pretrained=True, **kwargs):
    """Return WRN-28-2, features of width 128. There are no pretrained weights."""
    return _wide_resnet(28, 2)


@BACKBONE_REGISTRY.register()
def wide_resnet_16_4(pretrained=True, **kwargs):
    """Return WRN-16-4, features of width 256. There are no pretrained weights."""
    return _wide_resnet(16, 4)


@BACKBONE_REGISTRY.register()
def preact_resnet18(pretrained=True, **kwargs):
    """Return the pre-activation ResNet-18 for 32 x 32 pixels, features of width 512. No pretrained weights."""
    return PreActResNet(64, (64, 128, 256, 512), 2, partial(nn.ReLU, inplace=True))
