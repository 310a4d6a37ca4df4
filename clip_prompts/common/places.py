"""Folders of the user."""

import os
from pathlib import Path


def user_cache_dir() -> Path:
    """The user's own cache folder: ``$XDG_CACHE_HOME`` or ``~/.cache``, then ``clip-prompt-toolbox``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "clip-prompt-toolbox"
