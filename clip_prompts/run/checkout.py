"""The checkout of the repository: the folder with ``train.py``, the methods in ``trainers/`` and the ``datasets/``.

Both folders are packages that are not installed, because another distribution owns the name ``datasets``. They are
loaded by their path, and other modules may import them by name afterwards.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from clip_prompts.common.errors import UserError

PACKAGES = ("datasets", "trainers")


def checkout_root() -> Path:
    """Return the folder that holds ``clip_prompts``, or the current folder if the package is installed elsewhere."""
    for folder in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (folder / "train.py").is_file() and all((folder / name / "__init__.py").is_file() for name in PACKAGES):
            return folder
    raise UserError(
        f"'{Path.cwd()}' is not a checkout of the repository (train.py, trainers/, datasets/). Change into it, or run "
        "pip install -e . in it"
    )


def load_checkout(*packages: str) -> None:
    """Import the packages of the checkout, all by default, so that methods and datasets register themselves."""
    root = checkout_root()
    for name in packages or PACKAGES:
        file = root / name / "__init__.py"
        if name not in sys.modules:
            run_file(name, file, [str(file.parent)])
        elif (found := getattr(sys.modules[name], "__file__", None)) is None or Path(found).resolve() != file:
            raise UserError(
                f"The name '{name}' is taken by {found or sys.modules[name]}. Start in a process that has not imported "
                f"it: {file.parent} is needed"
            )


def run_file(name: str, file: str | Path, submodules_in: list[str] | None = None) -> ModuleType:
    """Import a Python file under a name, as a package if the folders of its modules are given."""
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=submodules_in)
    if spec is None:
        raise ImportError(f"'{file}' is not a Python file")
    return run_spec(spec)


def run_spec(spec: ModuleSpec) -> ModuleType:
    """Import the module of a spec under its own name. A module that raises is not kept."""
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # modules in the package and spawned loader workers import it by name
    try:
        if spec.loader is not None:  # None: a folder without __init__.py
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
