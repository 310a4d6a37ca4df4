"""What the methods share: backbones, prompts, the text encoder, precision, the base trainer, templates.

Letters of the shapes: C classes, M context vectors, d text width, B images, D joint width, L prompt length.
"""

import warnings

with warnings.catch_warnings():  # here, before any module of this folder imports it
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    import clip  # noqa: F401
