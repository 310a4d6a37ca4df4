"""ResNets whose 3 x 3 convolutions adapt to the image.

Source: Dynamic Domain Generalization, IJCAI 2022.
"""

from torch import nn
from torchvision.models import resnet

from dassl.modeling.ops import Conv2dDynamic


def _dynamic(conv, attention_in_channels):
    """Return a new dynamic convolution of the form of a 3 x 3 convolution without bias."""
    return Conv2dDynamic(
        conv.in_channels, conv.out_channels, 3, conv.stride, 1, bias=False, attention_in_channels=attention_in_channels
    )


class DynamicBasicBlock(resnet.BasicBlock):
    """Torchvision's block of two 3 x 3 convolutions; both mix their templates by the input of the block."""

    def __init__(self, inplanes, *args, **kwargs):
        super().__init__(inplanes, *args, **kwargs)
        self.conv1 = _dynamic(self.conv1, inplanes)
        self.conv2 = _dynamic(self.conv2, inplanes)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x, x)))
        out = self.bn2(self.conv2(out, x))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class DynamicBottleneck(resnet.Bottleneck):
    """Torchvision's bottleneck; its 3 x 3 convolution mixes its templates by the input of the block."""

    def __init__(self, inplanes, *args, **kwargs):
        super().__init__(inplanes, *args, **kwargs)
        self.conv2 = _dynamic(self.conv2, inplanes)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out, x)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


_ARCHITECTURES = {
    18: (DynamicBasicBlock, [2, 2, 2, 2]),
    50: (DynamicBottleneck, [3, 4, 6, 3]),
    101: (DynamicBottleneck, [3, 4, 23, 3]),
}


def dynamic_resnet(depth, stock=None):
    """Return a torchvision ResNet with dynamic convolutions in every block.

    Args:
        depth (int): 18, 50 or 101.
        stock (nn.Module or None): torchvision's ResNet of that depth, whose weights are taken over. The
            templates then start at zero, so that at first the network does what the stock one does.
    """
    block, layers = _ARCHITECTURES[depth]
    model = resnet.ResNet(block, layers)
    if stock is not None:
        model.load_state_dict(stock.state_dict(), strict=False)
        for module in model.modules():
            if isinstance(module, Conv2dDynamic):
                for template in module.templates:
                    nn.init.zeros_(template.weight)
    return model
