"""Every method the plain way, a file each: all prompts at 77 positions, CLIP's own modules, PyTorch's gradients.

They are written from the papers and share no code with ``clip_prompts`` or ``trainers``. Tests compare the trainers
with them, and ``tools/benchmark.py`` measures both.
"""

import importlib
import importlib.util

from .network import Plain, Seen


def twin_of(method: str) -> type[Plain] | None:
    """The plain implementation of a method; None if there is none."""
    module = f"{__name__}.{method.lower()}"
    if not method.isidentifier() or importlib.util.find_spec(module) is None:
        return None
    return getattr(importlib.import_module(module), method, None)
