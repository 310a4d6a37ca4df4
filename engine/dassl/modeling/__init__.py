"""Networks: backbones, heads and whole networks, each behind a registry and a builder; and parts of them."""

from . import ops
from .backbone import BACKBONE_REGISTRY, Backbone, build_backbone
from .head import HEAD_REGISTRY, build_head
from .network import NETWORK_REGISTRY, build_network
