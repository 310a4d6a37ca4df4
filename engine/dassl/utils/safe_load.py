"""Reads untrusted checkpoint files without running code.

Two kinds of files that ``torch.load`` takes are refused unread, because the oldest supported PyTorch
reads them without restriction: TorchScript archives, which are programs, and tar files.

``torch.load(weights_only=True)`` refuses every class but tensors and containers. Checkpoints that
upstream's Dassl wrote hold a little more: the scheduler under ``successor`` is a pickled object
that holds a pickled optimiser, and results may be NumPy numbers. Those names, and no others, are
allowed here, and each is bound to a stand-in: an empty class that takes attributes, or a function
that builds plain NumPy data. The real schedulers and optimisers are never created from a file.
"""

import contextlib
import functools
import io
import os
import pickletools
import re
import tarfile
import zipfile
from _codecs import encode
from collections import Counter

import numpy as np
import torch

from .errors import CheckpointError, printable
from .regular_files import open_regular

# The classes that upstream's build_lr_scheduler and build_optimizer make.
_INERT = (
    "torch.optim.lr_scheduler.StepLR",
    "torch.optim.lr_scheduler.MultiStepLR",
    "torch.optim.lr_scheduler.CosineAnnealingLR",
    "torch.optim.adam.Adam",
    "torch.optim.adamw.AdamW",
    "torch.optim.sgd.SGD",
    "torch.optim.rmsprop.RMSprop",
    "dassl.optim.radam.RAdam",
)

_ADVICE = "Load another epoch, or train again."
_PICKLES = 5  # of a file before PyTorch 1.6: mark, version, machine, content, names of storages
_PER_TENSOR = 100  # instructions that reading the numbers of a tensor counts as
_MAX_INSTRUCTIONS = 2_000_000  # of the pickles of a file; a ViT-L/14 with all its optimizer's state has 150,000

# As torch says it: not in the allow-list, of no class, or of a module from which nothing is ever taken.
_REFUSED = re.compile(r"[Uu]nsupported (?:global: GLOBAL|class|GLOBAL) ([\w.]+)")


class InertRecord:
    """Attributes of a pickled object, without its class."""

    def __setstate__(self, state):
        self.__dict__.update(state)


def load_data(path, map_location=None, **options):
    """``torch.load`` restricted to data; pickled schedulers come out as :class:`InertRecord`.

    Raises:
        CheckpointError: the file holds a class that is not allowed, or is of a kind that could run code.
        Exception: whatever torch raises for a file that it cannot read.
    """
    _refuse_programs(path)
    try:
        with _allowed(_stand_ins()):
            return torch.load(path, map_location=map_location, weights_only=True, **options)
    except Exception as error:
        refused = _REFUSED.search(str(error))
        if refused is None:
            raise
        raise CheckpointError(
            f'"{path}" holds an object of {refused[1]}, and loading it could run untrusted code. '
            "Save plain tensors, numbers, lists and dicts instead."
        ) from error


def _refuse_programs(path):
    with open_regular(path) as file:
        is_zip = file.read(4) == b"PK\x03\x04"  # as torch.load decides
        if is_zip:
            names = _check_archive(file, path)
            # torch.load's own reader and test, so that both see the same file.
            records = torch._C.PyTorchFileReader(str(path)).get_all_records()
            if "constants.pkl" in records:
                raise _program(path)
            if len(records) != len(names):
                raise CheckpointError(f'"{path}" is an archive that can be read in two ways. {_ADVICE}')
        elif _is_tar(file):
            raise CheckpointError(
                f'"{path}" is a tar file of a PyTorch before 0.1.10. Load it there, and save its state dict again.'
            )
        else:
            file.seek(0)
            _check_instructions(file, path, _PICKLES)


def _is_tar(file):
    """Return whether torch.load would read a file as a tar archive, which is never compressed."""
    file.seek(0)
    try:
        tarfile.open(fileobj=file, mode="r:").close()
    except tarfile.TarError:
        return False
    return True


def _program(path):
    return CheckpointError(
        f'"{path}" is a TorchScript archive, which is a program. Give a checkpoint: plain tensors by name.'
    )


def _check_archive(file, path):
    """Return the names in a zip archive.

    Raises:
        CheckpointError: it is a program, or members are compressed, which torch.save never does: a few bytes could
            fill the memory.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(info.filename.endswith("/constants.pkl") for info in members):
            raise _program(path)
        compressed = [info.filename for info in members if info.compress_type != zipfile.ZIP_STORED]
        if compressed or sum(info.file_size for info in members) > size:
            name = printable(compressed[0][:80]) if compressed else "more than the file"
            raise CheckpointError(f'"{path}" holds compressed data ({name}), which torch.save never writes. {_ADVICE}')
        for info in members:
            if info.filename.endswith("/data.pkl") or info.filename == "data.pkl":
                with archive.open(info) as content:
                    _check_instructions(io.BytesIO(content.read()), path, pickles=1)
    return [info.filename for info in members]


def _check_instructions(file, path, pickles):
    """Count the instructions of pickles without following them. torch follows a million, or 10,000 tensors, a second.

    Raises CheckpointError: they are too many. ValueError: the file is no such pickle.
    """
    count = 0
    for _ in range(pickles):
        for opcode, _, _ in pickletools.genops(file):
            count += _PER_TENSOR if opcode.name == "BINPERSID" else 1
            if count > _MAX_INSTRUCTIONS:
                raise CheckpointError(
                    f'"{path}" has more than {_MAX_INSTRUCTIONS:,} instructions, which no checkpoint needs. {_ADVICE}'
                )


@contextlib.contextmanager
def _allowed(stand_ins):
    # torch.serialization.safe_globals exists from torch 2.5 on; these three exist in 2.4 too.
    before = list(torch.serialization.get_safe_globals())  # torch 2.4 returns the list that it then changes
    torch.serialization.add_safe_globals(stand_ins)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


@functools.lru_cache(maxsize=1)
def _stand_ins():
    classes = [_named(type("Record", (InertRecord,), {}), path) for path in _INERT]
    # Optimiser state is a defaultdict(dict), the milestones of MultiStepLR are a Counter.
    containers = [dict, Counter, _named(lambda *_: {}, "collections.defaultdict")]
    numbers = [np.dtype, np.ndarray, *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}]
    for package in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
        numbers.append(_named(lambda *args: _scalar(*args), f"{package}.multiarray.scalar"))
        # The shape and the content of an array are set by the next instruction of the pickle.
        empty = lambda *_: np.ndarray.__new__(np.ndarray, (0,), "b")  # noqa: E731
        numbers.append(_named(empty, f"{package}.multiarray._reconstruct"))
    # The bytes of a number are pickled as a call of _codecs.encode.
    return [*classes, *containers, *numbers, encode]


def _named(obj, path):
    # torch looks an allowed object up by its module and name, so these make it the stand-in.
    obj.__module__, _, obj.__name__ = path.rpartition(".")
    obj.__qualname__ = obj.__name__
    return obj


def _scalar(dtype, raw):
    if dtype.hasobject or not isinstance(raw, bytes):
        raise CheckpointError("A NumPy number in the checkpoint is malformed. Save plain numbers instead.")
    return np.frombuffer(raw, dtype)[0]
