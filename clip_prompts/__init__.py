"""Prompt learning for CLIP: the package behind ``train.py`` and the methods in ``trainers/``."""


def __getattr__(name: str) -> str:
    """Return ``__version__``. It is looked up on demand, because a checkout runs without being installed."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("clip-prompts")
