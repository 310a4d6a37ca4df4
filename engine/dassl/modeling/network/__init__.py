"""Whole networks that are no classifiers, such as image generators."""

from .build import NETWORK_REGISTRY, build_network

__all__ = ["NETWORK_REGISTRY", "build_network"]
