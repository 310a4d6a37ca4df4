"""Networks that turn images (B, 3, H, W) into features (B, D)."""

from . import torchvision_models  # noqa: F401  enters the torchvision backbones into the registry
from .backbone import Backbone
from .build import BACKBONE_REGISTRY, build_backbone

__all__ = ["BACKBONE_REGISTRY", "Backbone", "build_backbone"]
