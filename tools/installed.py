"""The check that comes first in every program of this folder: whether this Python has the packages.

The checking code is loaded by its path, because a Python that lacks ``clip_prompts`` gets a clear line too.
"""

from pathlib import Path
from runpy import run_path

_environment = run_path(str(Path(__file__).resolve().parents[1] / "clip_prompts" / "common" / "environment.py"))
require_packages, require_python = _environment["require_packages"], _environment["require_python"]
