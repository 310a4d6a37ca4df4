"""Untrusted pickles, read without running code: only the names on an allow-list are looked up."""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import BinaryIO

from .text import one_line


def unpickle(
    content: bytes,
    allowed: Callable[[str, str], object | None],
    persistent: Callable[[object], object] | None = None,
) -> object:
    """Read one pickle.

    Args:
        content: the bytes of the pickle.
        allowed: (module, name) to what stands in for that class or function, which is never imported; None for what
            is refused.
        persistent: what a reference to an object outside of the pickle stands for; by default such are refused.

    Raises pickle.UnpicklingError: in one line, for all that is wrong with the pickle; names what is refused.
    """
    try:
        check_instructions(io.BytesIO(content))
        return _Unpickler(content, allowed, persistent).load()
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(one_line(str(error), 300)) from error
    except Exception as error:  # a broken pickle fails in many ways
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise pickle.UnpicklingError(one_line(f"it is not a whole pickle ({reason})", 300)) from error


_PER_TENSOR = 100  # instructions that reading the numbers of a tensor counts as
MAX_INSTRUCTIONS = 2_000_000  # 16 shots of ImageNet's 1,000 classes have 200,000


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, allowed: Callable, persistent: Callable | None) -> None:
        super().__init__(io.BytesIO(content))
        self._allowed, self._persistent = allowed, persistent

    def find_class(self, module: str, name: str) -> object:
        found = self._allowed(module, name)
        if found is None:
            raise pickle.UnpicklingError(f"it tries to import {module}.{name}, which is not allowed in a data file")
        return found

    def persistent_load(self, pid: object) -> object:
        if self._persistent is None:
            raise pickle.UnpicklingError("it refers to objects outside the file")
        return self._persistent(pid)


def check_instructions(file: BinaryIO) -> None:
    """Walk through the instructions of a pickle without following them.

    Raises ValueError for a broken one, and for too many: PyTorch follows a million, or 10,000 tensors, a second.
    Before it looks at what follows, C's unpickler makes room for as many bytes as an instruction announces and for as
    many objects as the largest number that one is remembered by: 64 GB for nine bytes.
    """
    tensors = 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file), start=1):
        tensors += opcode.name == "BINPERSID"
        if argument is not None and opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > count:
            raise ValueError(f"it remembers an object by the number {argument}")
        if count + _PER_TENSOR * tensors > MAX_INSTRUCTIONS:
            raise ValueError(f"it has more than {MAX_INSTRUCTIONS:,} instructions")
