"""The names of the interface, read from the tables in ``facts/``, and the objects that they name."""

import importlib
import inspect
import re
from pathlib import Path

from torchvision.transforms import InterpolationMode

FACTS = Path(__file__).with_name("facts")


def rows(name):
    """Returns {first column: second column} of a table in ``facts/``."""
    lines = (FACTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    lines = [
        re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines if line and not line.startswith(("# ", "["))
    ]
    return {line[0]: line[-1] if len(line) == 2 else "" for line in lines}


def table(kind):
    """Returns {name: expected} of one kind: ``dassl``, ``cfg``, ``client``, or ``trainer`` and others of registries."""
    found = {**rows("names"), **rows("config"), **rows("registered")}
    return {key[len(kind) + 1 :]: value for key, value in found.items() if re.match(rf"{kind}[.:]", key)}


def find(name):
    """Returns the object with a dotted name, and imports its module if needed."""
    root, *parts = name.split(".")
    found, path = importlib.import_module(root), root
    for part in parts:
        path = f"{path}.{part}"
        if not hasattr(found, part) and inspect.ismodule(found):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise  # the module is there, but not what it imports
        found = getattr(found, part)
    return found


def parameters(text):
    """Returns name, kind and default of each parameter in ``(a, b=1)``."""
    names = {"__builtins__": {}, "BILINEAR": InterpolationMode.BILINEAR}
    return _described(inspect.signature(eval(f"lambda {text[1:-1]}: None", names)))


def parameters_of(function):
    """Returns the same for a function, a method or a constructor, without ``self``."""
    described = _described(inspect.signature(function))
    return described[1:] if described and described[0][0] == "self" else described


def _described(signature):
    # 1 and True, or 0 and 0.0, are equal but not the same default.
    return [(p.name, p.kind, type(p.default).__name__, repr(p.default)) for p in signature.parameters.values()]
