"""Whether a name is there, is called as it should be, and has its default."""

import ast
import importlib
import inspect

from .checking import equal


def aspects_of(entry):
    """Yield (aspect, statement, function) for what the tables alone say of a name; the function raises if not."""
    expected = entry.expected
    if entry.kind == "dassl":
        if expected == "attribute":
            return
        yield "present", "can be imported", lambda: _has_kind(find(entry.name), expected)
        if expected.startswith("("):
            yield "signature", expected, lambda: check_signature(find(entry.name), expected)
        elif expected.startswith("= "):
            yield "default", expected, lambda: equal(find(entry.name), ast.literal_eval(expected[2:]))
    elif entry.kind == "cfg":
        yield "present", "is in the default config", lambda: config_value(entry.short)
        yield "default", expected, lambda: _same_default(config_value(entry.short), ast.literal_eval(expected))


def find(name):
    """Return what a dotted name stands for: an attribute, or a module that is imported for it."""
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


def config_value(key):
    """Return a value of the default config by its dotted key."""
    value = find("dassl.config.get_cfg_default")()
    for part in key.split("."):
        value = value[part]
    return value


def check_signature(found, expected):
    """Compare parameter names, their order and kinds, and their defaults."""
    if _parameters(expected) != _parameters_of(found):
        raise AssertionError(f"expected {expected}, found {inspect.signature(found)}")


def _parameters(text):
    from torchvision.transforms import InterpolationMode

    namespace = {"__builtins__": {}, "BILINEAR": InterpolationMode.BILINEAR}
    return _described(inspect.signature(eval(f"lambda {text[1:-1]}: None", namespace)))


def _parameters_of(found):
    described = _described(inspect.signature(found))
    return described[1:] if described and described[0][0] == "self" else described


def _described(signature):
    return [(p.name, p.kind, _plain(p.default)) for p in signature.parameters.values()]


def _plain(default):
    if default is inspect.Parameter.empty:
        return "no default"
    # 1 and True, or 0 and 0.0, are equal but not the same default.
    return type(default).__name__, repr(default)


def _has_kind(found, expected):
    if expected == "module" and not inspect.ismodule(found):
        raise AssertionError(f"expected a module, found {found!r}")
    if expected == "class" and not inspect.isclass(found):
        raise AssertionError(f"expected a class, found {found!r}")
    if (expected in ("function", "method") or expected.startswith("(")) and not callable(found):
        raise AssertionError(f"expected something to call, found {found!r}")


def _same_default(found, expected):
    if type(found) is not type(expected):
        raise AssertionError(f"expected {expected!r} ({type(expected).__name__}), found {found!r}")
    equal(found, expected)
