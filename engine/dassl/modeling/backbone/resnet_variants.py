"""ResNets for domain generalization: ``resnet{18,50,101}`` with

- ``_ms_l1``, ``_ms_l12``, ``_ms_l123``: MixStyle after the first one, two or three stages (ICLR 2021);
- ``_efdmix_l1``, ``_efdmix_l12``, ``_efdmix_l123``: EFDMix there (CVPR 2022);
- ``_dynamic``: dynamic convolutions (IJCAI 2022);
- ``_dynamic_ms_l1`` and so on: both.

The mixing layers have no parameters, so that weights and checkpoints of the stock ResNets fit.
"""

from dassl.modeling.ops import EFDMix, MixStyle

from .build import BACKBONE_REGISTRY
from .dynamic_resnet import dynamic_resnet
from .torchvision_models import headless, stock_model

_DEPTHS = (18, 50, 101)
_MIXING = {"ms": MixStyle, "efdmix": EFDMix}
_STAGES = {"l1": ("layer1",), "l12": ("layer1", "layer2"), "l123": ("layer1", "layer2", "layer3")}


def mix_after(model, stages, mixing):
    """Append a mixing layer (half of the batches, Beta(0.1, 0.1)) to the named stages of a ResNet, in place."""
    for stage in stages:
        getattr(model, stage).add_module("mix", mixing(p=0.5, alpha=0.1, mix="random"))
    return model


def _register(depth, dynamic=False, mixing=None, stages=None):
    stock = f"resnet{depth}"
    name = stock + "_dynamic" * dynamic + (f"_{mixing}_{stages}" if mixing else "")

    def build(pretrained=True, **kwargs):
        if not dynamic:
            model = stock_model(stock, pretrained)
        else:
            model = dynamic_resnet(depth, stock=stock_model(stock, True) if pretrained else None)
        if mixing:
            mix_after(model, _STAGES[stages], _MIXING[mixing])
        return headless(model)

    additions = ["dynamic convolutions"] * dynamic
    if mixing:
        additions.append(f"{_MIXING[mixing].__name__} after {', '.join(_STAGES[stages])}")
    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{stock} with {' and '.join(additions)}; the ImageNet weights of {stock} if ``pretrained``."
    BACKBONE_REGISTRY.register(build)


for _depth in _DEPTHS:
    for _mixing in _MIXING:
        for _stages in _STAGES:
            _register(_depth, mixing=_mixing, stages=_stages)
    _register(_depth, dynamic=True)
    for _stages in _STAGES:
        _register(_depth, dynamic=True, mixing="ms", stages=_stages)
