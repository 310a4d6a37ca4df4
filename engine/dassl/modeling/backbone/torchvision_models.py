"""Torchvision's classifiers as backbones: the last linear layer is replaced by the identity.

The modules keep torchvision's names for their parameters, so torchvision's weight files and
checkpoints of the same networks fit.
"""

import torchvision.models
from torch import nn

from .build import BACKBONE_REGISTRY
from .weights import explaining_failed_download

_NAMES = (
    "alexnet",
    "vgg16",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"efficientnet_b{size}" for size in range(8)),
)


def headless(model):
    """Take the last linear layer off a torchvision classifier, in place.

    Returns:
        nn.Module: (B, 3, H, W) -> (B, D), with D in its attribute ``out_features``.
    """
    if hasattr(model, "fc"):
        model.out_features = model.fc.in_features
        model.fc = nn.Identity()
    else:
        model.out_features = model.classifier[-1].in_features
        model.classifier[-1] = nn.Identity()
    return model


def stock_model(name, pretrained):
    """Return torchvision's classifier of that name, with its ImageNet weights if ``pretrained``.

    Raises:
        DownloadError: the weights cannot be fetched.
    """
    with explaining_failed_download(name):
        return torchvision.models.get_model(name, weights="IMAGENET1K_V1" if pretrained else None)


def _register(name):
    def build(pretrained=True, **kwargs):
        return headless(stock_model(name, pretrained))

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"torchvision's {name} without its classifier; ImageNet weights if ``pretrained``."
    BACKBONE_REGISTRY.register(build)


for _name in _NAMES:
    _register(_name)
