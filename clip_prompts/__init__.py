"""Prompt learning for CLIP: the package behind ``train.py`` and the methods in ``trainers/``.

``load_prompt``: a learned prompt, ready to classify pictures, see ``prompt/loading.py``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Return ``load_prompt`` or ``__version__``, looked up on demand: a checkout runs without being installed."""
    if name == "load_prompt":
        import clip_prompts.backbones  # first, because it silences a warning of the package clip
        from clip_prompts.prompt.loading import load_prompt

        return load_prompt
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("clip-prompts")
