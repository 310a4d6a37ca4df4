"""Python code as a run's identity knows it: the modules that compute the result, and their hashes."""

import ast
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from clip_prompts.common.contents import content_hashes
from clip_prompts.common.errors import UserError

from .sources import has_changed, source_file

# Parts of the project that other entries of the identity cover: the data lists, the version of the engine.
_COVERED = (
    "dassl.", "datasets.", "tools.",
    *(f"clip_prompts.{room}." for room in ("common", "data", "run", "records", "sweep", "report")),
)  # fmt: skip


def code_of(trainer: object, dataset: object, plugins: Sequence[str]) -> dict[str, str]:
    """Module -> SHA-256 of its source: the trainer's, the dataset's, the plug-ins', and all that these import.

    Installed packages and the standard library do not count.
    Raises UserError: a file was changed after this process had loaded it.
    """
    names = [cls.__module__ for cls in type(trainer).__mro__]
    names += [Path(name).stem if name.endswith(".py") else name for name in plugins]
    found: dict[str, Path] = {}
    while names:
        name = names.pop()
        file = None if f"{name}.".startswith(_COVERED) else source_file(name)
        if file is None or name in found:
            continue
        if has_changed(file):
            raise UserError(f"{file} was changed while this program was running. Start the program again")
        found[name] = file
        names += _imports(name, file)
    for kind in (type(trainer), type(dataset)):  # a trainer of the engine counts itself, for the rest its version does
        if file := source_file(kind.__module__):
            found.setdefault(kind.__module__, file)
    order = sorted(found)
    return dict(zip(order, file_hashes([str(found[name]) for name in order]), strict=True))


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
