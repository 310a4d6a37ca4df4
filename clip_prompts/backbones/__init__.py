"""CLIP backbones: names, weight files of any make, and the embedded ``tiny``."""

import warnings

with warnings.catch_warnings():  # here, before any module of this folder imports it
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    import clip  # noqa: F401
