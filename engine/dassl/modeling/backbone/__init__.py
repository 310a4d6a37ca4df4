"""Networks that turn images (B, 3, H, W) into features (B, D).

Each registered function is also an attribute of this package, such as ``resnet18``.
"""

# These enter their networks into the registry.
from . import digit_cnns, preact_resnet, resnet_variants, torchvision_models  # noqa: F401
from .backbone import Backbone
from .build import BACKBONE_REGISTRY, build_backbone


def __getattr__(name):
    if name in BACKBONE_REGISTRY:
        return BACKBONE_REGISTRY.get(name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
