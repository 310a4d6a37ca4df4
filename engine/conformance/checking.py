"""How a check is written: a short function under ``@check``, whose docstring is the statement that it shows."""

import contextlib
import io
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKS = []
KINDS = tuple(
    f"{kind}:*"
    for kind in (
        "trainer", "dataset", "backbone", "network", "evaluator", "registry", "transform", "interpolation", "sampler",
        "optimizer", "schedule", "batch", "flag",
    )
) + ("client.*", "cfg.*")  # fmt: skip


@dataclass(frozen=True)
class Check:
    """Attributes: the names it is about (``kind:*`` for all of a kind), and the function."""

    names: tuple
    function: object

    @property
    def statement(self):
        return " ".join((self.function.__doc__ or self.function.__name__).split())

    def covers(self, name):
        return any(name == own or (own in KINDS and name.startswith(own[:-1])) for own in self.names)

    @property
    def wants_entry(self):
        """Whether the function is called once for each name, with its Entry."""
        return self.function.__code__.co_argcount == 1


class Chosen(Exception):
    """What was seen is a difference on purpose; the argument is its key in ``facts/differences.txt``."""


def check(*names):
    """Enter a function as a check of these names. It fails by raising anything but :class:`Chosen`.

    Imports of ``dassl`` belong into the function, so that a missing name fails the check alone.
    """

    def enter(function):
        CHECKS.append(Check(names, function))
        return function

    return enter


def differs(condition, key):
    """End the check as a chosen difference if ``condition``, which describes our behaviour, holds."""
    if condition:
        raise Chosen(key)


def equal(found, expected):
    """Fail with both values unless they are equal."""
    if found != expected:
        raise AssertionError(f"expected {expected!r}, found {found!r}")


def near(found, expected, tolerance=1e-6):
    """Fail unless the numbers (or sequences of them) agree to the relative tolerance."""
    pairs = zip(found, expected, strict=True) if isinstance(expected, (list, tuple)) else [(found, expected)]
    for one, other in pairs:
        if abs(float(one) - float(other)) > tolerance * max(1e-12, abs(float(other))) + 1e-12:
            raise AssertionError(f"expected {expected!r}, found {found!r}")


@contextlib.contextmanager
def raises(kind, text="", chosen=None):
    """The block must raise ``kind`` with ``text`` in its message.

    Where the contract has an error without a message, or of a kind that says little, this engine may raise an error of
    its own, one line for the user; ``chosen`` is the key of that difference.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, kind) or text not in str(error):
            differs(chosen and _is_line_for_the_user(error), chosen)
            raise AssertionError(f"expected {kind.__name__} with {text!r}, found {error!r}") from error
    else:
        raise AssertionError(f"expected {kind.__name__} with {text!r}, but nothing was raised")


def _is_line_for_the_user(error):
    import dassl.utils

    own = getattr(dassl.utils, "UserError", None)
    return own is not None and isinstance(error, own) and "\n" not in str(error).strip()


class Printed:
    """What a block wrote to stdout and stderr."""

    out = err = ""

    @property
    def lines(self):
        return self.out.splitlines()


@contextlib.contextmanager
def printed():
    """Yield a :class:`Printed` that is filled when the block ends."""
    result, out, err = Printed(), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield result
        finally:
            result.out, result.err = out.getvalue(), err.getvalue()


@contextlib.contextmanager
def patched(owner, **attributes):
    """Set attributes for the length of a block."""
    before = {name: getattr(owner, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextlib.contextmanager
def patched_module(name, module):
    """Let ``import name`` give this module for the length of a block."""
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before


def folder():
    """Return a new empty folder; all are removed when the suite ends."""
    return Path(tempfile.mkdtemp(dir=_root.name))


def seed(value=0):
    """Seed Python's, NumPy's and torch's generators."""
    import numpy as np
    import torch

    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


_root = tempfile.TemporaryDirectory(prefix="conformance-")
