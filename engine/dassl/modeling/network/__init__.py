"""Whole networks that are no classifiers, such as image generators."""

from .build import NETWORK_REGISTRY, build_network
from .fcn import fcn_3x32_gctx, fcn_3x32_gctx_stn, fcn_3x64_gctx, fcn_3x64_gctx_stn
