"""Where files go, and how they get there whole."""

import os
from collections.abc import Iterable

from clip_prompts.common.files import write_text_atomically

__all__ = ["relative_path", "relative_paths", "write_text_atomically"]


def relative_path(path: str, folder: str) -> str:
    """``path`` relative to ``folder``, with ``/`` between the parts. Raises ValueError when it lies outside."""
    return relative_paths([path], folder)[0]


def relative_paths(paths: Iterable[str], folder: str) -> list[str]:
    """:func:`relative_path` of many paths."""
    prefix = folder.rstrip(os.sep) + os.sep
    start, result = len(prefix), []
    for path in paths:
        inside = path[start:] if path.startswith(prefix) else os.path.relpath(path, folder)
        if os.sep != "/":
            inside = inside.replace(os.sep, "/")
        if inside.startswith("..") and inside.split("/")[0] == "..":
            raise ValueError(f"{path} lies outside {folder}")
        result.append(inside)
    return result
