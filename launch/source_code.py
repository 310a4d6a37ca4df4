"""Python code as a run's identity knows it: the modules that compute the result, and their hashes."""

import ast
import contextlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from common.contents import content_hashes
from common.errors import UserError

# Parts of the project whose effect other entries of the identity hold: the data lists, the version of the engine.
_COVERED_PACKAGES = ("dassl", "common", "datasets", "launch", "tools")
_INSTALLED = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def source_file(module: str) -> Path | None:
    """The Python file of a module, unless the module is installed or of the standard library.

    The module may be imported later, by a line within a function. The package that holds it must be imported.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if module not in sys.modules and (module.rpartition(".")[0] or "sys") in sys.modules:
        with contextlib.suppress(ImportError, ValueError, AttributeError):
            file = getattr(importlib.util.find_spec(module), "origin", None)
    if not file or not file.endswith(".py") or not os.path.isfile(file):  # torch has modules that name no real file
        return None
    path = Path(file).resolve()
    return None if any(path.is_relative_to(place) for place in _INSTALLED) else path


_loaded: dict[Path, int] = {}  # file -> time of its last change when the process had loaded it


def remember_sources() -> None:
    """Remember the state of all loaded code. Call it right after imports that a process makes for many runs."""
    for name in list(sys.modules):
        if path := source_file(name):
            _loaded.setdefault(path, path.stat().st_mtime_ns)


def has_changed(path: Path) -> bool:
    """Whether a file of code was changed after this process had loaded it."""
    return path in _loaded and path.stat().st_mtime_ns != _loaded[path]


def code_of(trainer: object, dataset: object, plugins: Sequence[str]) -> dict[str, str]:
    """Module -> SHA-256 of its source: the trainer's, the dataset's, the plug-ins', and all that these import.

    Installed packages and the standard library do not count.

    Raises:
        UserError: a file was changed after this process had loaded it.
    """
    names = [cls.__module__ for cls in type(trainer).__mro__] + [plugin_module(name) for name in plugins]
    found: dict[str, Path] = {}
    while names:
        name = names.pop()
        file = _own_source(name)
        if file is None or name in found:
            continue
        if has_changed(file):
            raise UserError(f"{file} was changed while this program ran, which still has the old code. Start it again")
        found[name] = file
        names += _imports(name, file)
    for kind in (type(trainer), type(dataset)):  # a trainer of the engine counts itself, for the rest its version does
        if file := source_file(kind.__module__):
            found.setdefault(kind.__module__, file)
    order = sorted(found)
    return dict(zip(order, file_hashes([str(found[name]) for name in order]), strict=True))


def plugin_module(name: str) -> str:
    """The name under which ``--plugin`` imports a module: that of a file is its stem."""
    return Path(name).stem if name.endswith(".py") else name


def _own_source(module: str) -> Path | None:
    return None if module.split(".")[0] in _COVERED_PACKAGES else source_file(module)


def _imports(module: str, file: Path) -> list[str]:
    """Names of the modules that a module's source imports, wherever in it."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, package)
                except ImportError:  # the module was not loaded as a part of a package, so the line never ran
                    continue
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found


def file_hashes(paths: Sequence[str]) -> list[str]:
    """SHA-256 of the contents of files. Raises UserError for a file that cannot be read."""
    try:
        return content_hashes(paths)
    except OSError as error:
        name = error.filename or paths[0]
        raise UserError(f"File '{name}' cannot be read: {error.strerror or error}. Restore it and run again") from error
