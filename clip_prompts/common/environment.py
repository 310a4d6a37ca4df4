"""A check for missing packages: ``python environment.py requirements.txt``.

Exit status 0 if it has all of them, 2 with a line that names the missing ones. Imports nothing heavy, and runs on
Pythons that are too old for the rest of the repository.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (3, 10)
# Packages whose import name is not the package's own name.
_IMPORT_NAMES = {
    ".": "clip_prompts", "./engine": "dassl", "clip-anytorch": "clip", "pillow": "PIL", "pytest-xdist": "xdist",
    "scikit-learn": "sklearn", "setuptools": "pkg_resources", "types-PyYAML": "yaml-stubs",
    "types-tabulate": "tabulate-stubs",
}  # fmt: skip


def require_python() -> None:
    """End the program with one line and exit status 2 if this Python is too old."""
    if sys.version_info < PYTHON:
        found = "{}.{}".format(*sys.version_info[:2])
        print(f"Error: {sys.executable} is Python {found}. {_hint('this program')}", file=sys.stderr)
        sys.exit(2)


def require_packages(program: str, file: str = "requirements.txt", only: tuple[str, ...] = ()) -> None:
    """End the program with one line and exit status 2 if this Python lacks a package of a requirements file.

    Args:
        only: names of the packages that the program needs; () for all in the file.
    """
    require_python()
    lacking = [name for name in missing(file) if not only or name.startswith(only)]
    if lacking:
        more = f" and {len(lacking) - 3} more packages" if len(lacking) > 3 else ""
        names = f"{', '.join(lacking[:3])}{more}"
        print(f"Error: {sys.executable} lacks {names}. {_hint(program, file)}", file=sys.stderr)
        sys.exit(2)


def _hint(program: str, file: str = "requirements.txt") -> str:
    """The next step for somebody whose Python is too old or lacks packages."""
    folder = ROOT / ".venv" / "bin"
    if (folder / "python").exists() and folder != Path(sys.executable).parent:
        return f"Activate the repository's environment: source {folder / 'activate'}, then run {program} again"
    needed = "Python {}.{} or newer".format(*PYTHON)
    return f"With {needed}, run in {ROOT}: python -m pip install -r {file}; or bash scripts/demo.sh, which makes .venv"


def missing(file: str = "requirements.txt") -> list[str]:
    """Requirements of a file in the repository that this Python does not meet, such as "torch>=2.4"."""
    lacking = [requirement for requirement in dict.fromkeys(_requirements(file)) if not _is_met(requirement)]
    ours = {".": "clip_prompts (.)", "./engine": "dassl (./engine)"}
    return [ours.get(requirement, requirement) for requirement in lacking]


def _requirements(file: str) -> Iterator[str]:
    """Yield the requirements of a file, of the files that it includes, and of the repository's own two packages."""
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].replace(" ", "").removeprefix("-e")
        if requirement.startswith("-r"):
            yield from _requirements(requirement.removeprefix("-r"))
        elif requirement:
            yield requirement
        if requirement in (".", "./engine"):
            text = (ROOT / requirement / "pyproject.toml").read_text(encoding="utf-8")
            for listed in re.findall(r"^dependencies = \[(.*?)^\]", text, re.M | re.S):
                yield from re.findall(r'^ *"(.+?)"', listed, re.M)


def _is_met(requirement: str) -> bool:
    """True if the package can be imported, in an allowed version as far as its version is known.

    ``clip_prompts`` must be the repository's own: programs must not run the code of another checkout.
    """
    name = re.split(r"[^\w./-]", requirement)[0]
    spec = importlib.util.find_spec(_IMPORT_NAMES.get(name, name.replace("-", "_")))
    if spec is None or (name == "." and Path(spec.origin or "").resolve().parents[1] != ROOT):
        return False
    try:
        version = _numbers(importlib.metadata.version(name))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return True  # the package comes from another distribution, such as CLIP from its repository
    bounds = [(bound, _numbers(bound)) for bound in re.findall(r"[<>]=?[\d.]+", requirement)]  # ">=2.4", "<81"
    return all(version < limit if bound.startswith("<") else version >= limit for bound, limit in bounds)


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version as numbers: "2.4.1+cpu" is (2, 4, 1)."""
    return tuple(map(int, re.findall(r"\d+(?:\.\d+)*", version)[0].split(".")))


if __name__ == "__main__":
    require_packages("this script", sys.argv[1] if sys.argv[1:] else "requirements.txt")
