"""CLIP's weights from a file, read as data: safetensors, a state dict, or a TorchScript archive as OpenAI publishes.

A TorchScript archive is a program, and ``torch.jit.load`` runs parts of it. Here only its ``data.pkl`` and the numbers
beside it are read: the modules become records without code, of which the tensors are taken.
"""

import ctypes
import io
import mmap
import pickle
import re
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line
from clip_prompts.common.unpickling import check_instructions, unpickle

from .state_dicts import ACCEPTED

_MAX_PICKLE = 2**24  # bytes of a pickle that are looked at to tell a module
_MAX_HEADER = 4 * 2**20  # bytes of the header of a safetensors file; ViT-L/14 has 60,000
_BLOCK = 2**20  # bytes read at once
# A record of a zip archive has a header of 30 bytes and two texts, whose lengths are in the last four bytes.
_HEADER, _LENGTHS = 30, 26
_MAX_VALUES = 100_000  # attributes of all modules; ViT-L/14 has some 2,000
_LIBRARY = ctypes.CDLL(None) if hasattr(mmap, "MADV_DONTNEED") else None  # the C library; None on Windows
_DTYPES = {
    ("torch", f"{name}Storage"): dtype
    for name, dtype in {
        "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
        "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
        "Bool": torch.bool,
    }.items()
}  # fmt: skip


class Content(NamedTuple):
    """Content of a file: parameters and buffers by name, on the CPU, in their stored precision, maybe wrapped.

    ``is_mapped``: the tensors take no memory until they are used; ``free_mapped`` gives it back.
    """

    content: object
    is_mapped: bool


def read_weights(path: Path) -> Content:
    """Read a file of weights. Tensors are mapped in all formats except that of PyTorch before 1.6.

    Nothing in the file is executed. ``state_dicts.find_clip`` finds the weights in the content.

    Raises UserError: the file cannot be read, is a pickled module, or asks for code; names what it asks for.
    """
    try:
        reader = _reader(path)
        return Content(reader(path), reader is not _read_unmapped)
    except Exception as error:  # bytes that are no checkpoint make the libraries fail in many ways
        if not isinstance(error, ValueError) and _is_pickled_module(path):
            raise UserError(
                f"Backbone file '{path}' is a pickled module, and reading it would run code. Where the model was made, "
                "save only its weights: torch.save(model.state_dict(), 'weights.pt')"
            ) from error
        reason = _reason(error)
        raise UserError(f"Backbone file '{path}' is not readable as CLIP weights ({reason}). {ACCEPTED}") from error


def free_mapped(mapped: Tensor) -> None:
    """Give the memory of a mapped tensor back. A later use reads the numbers from the file again."""
    if _LIBRARY is None or not mapped.is_contiguous():  # a view may repeat numbers, and seem larger than it is
        return
    first = -(-mapped.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    size = (mapped.data_ptr() + mapped.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if size > 0:
        _LIBRARY.madvise(ctypes.c_void_p(first), ctypes.c_size_t(size), mmap.MADV_DONTNEED)


def _is_pickled_module(path: Path) -> bool:
    """True if torch.save wrote a whole module: its pickle names the attributes that every module has."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
                content = b"" if name is None else archive.open(name).read(_MAX_PICKLE)
        else:
            with open(path, "rb") as file:
                content = file.read(_MAX_PICKLE)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False
    return b"_parameters" in content and b"_modules" in content


def _reason(error: Exception) -> str:
    if refused := re.search(r"[Uu]nsupported (?:global: GLOBAL|class|GLOBAL) ([\w.]+)", str(error)):
        return f"it asks for {refused[1]}, which weights have no need of"
    # torch advises how to read it all the same; an error of the other kinds says nothing to a user
    unreadable = LookupError | TypeError | AttributeError | EOFError | UnicodeDecodeError
    if re.search("weights_only|pickle exhausted|opcode .* unknown", str(error)) or isinstance(error, unreadable):
        return "it is no whole checkpoint"
    return one_line(str(error) or type(error).__name__, 200)


def _reader(path: Path):
    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # safetensors: the length of a header in JSON, and the header
        from safetensors.torch import load_file

        if int.from_bytes(start[:8], "little") > _MAX_HEADER:
            raise ValueError("its header is too long")
        return load_file
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # PyTorch compresses only the code of TorchScript, which is not read. A few bytes could fill the memory.
            for info in archive.infolist():
                if info.compress_type != zipfile.ZIP_STORED and "/code/" not in info.filename:
                    raise ValueError(f"'{info.filename}' is compressed")
            if sum(info.compress_size for info in archive.infolist()) > path.stat().st_size:
                raise ValueError("its members share their bytes")
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return _read_torchscript
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    check_instructions(io.BytesIO(archive.read(name)))
        return _read_unmapped if path.suffix == ".safetensors" else _read_pickle  # torch.load goes by a path's ending
    if _is_tar(path):  # before 2.6, torch.load reads these without restriction
        raise ValueError("it is a tar archive")
    with open(path, "rb") as file:  # a file before PyTorch 1.6: mark, version, machine, weights, names of storages
        for _ in range(5):
            check_instructions(file)
    return _read_unmapped


def _read_pickle(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _read_unmapped(path: Path) -> object:
    with open(path, "rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def _is_tar(path: Path) -> bool:
    """True for a tar archive that is not compressed, the only kind that torch.load reads."""
    try:
        tarfile.open(path, "r:").close()
    except tarfile.TarError:
        return False
    return True


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        top = next(name for name in archive.namelist() if name.endswith("/constants.pkl")).rpartition("/")[0]
        modules = type("Module", (), {})  # of this file alone: what it changes of the class ends with it
        storages: dict[str, Tensor] = {}

        def allowed(module: str, name: str) -> object | None:
            if module.split(".")[0] == "__torch__":
                return modules
            if module == "torch.jit._pickle":  # lists of one type, which is their second argument
                return lambda values, *_: values
            return _DTYPES.get((module, name)) or _REBUILT.get((module, name))

        def storage(reference: Any) -> Tensor:
            _, dtype, key, *_ = reference
            if key not in storages:
                storages[key] = _numbers(archive, whole, f"{top}/data/{key}", dtype)
            return storages[key]

        root = unpickle(archive.read(f"{top}/data.pkl"), allowed, storage)
    return dict(_tensors(root, modules))


def _numbers(archive: zipfile.ZipFile, whole: mmap.mmap, name: str, dtype: torch.dtype) -> Tensor:
    """A record of the archive as numbers (N,), mapped from the ``whole`` file."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(whole):
        raise ValueError(f"'{name}' is compressed")  # PyTorch never does; a few bytes could fill the memory
    if not info.file_size:
        return torch.empty(0, dtype=dtype)
    with archive.open(info) as record:
        while record.read(_BLOCK):  # compares the checksum at the end
            pass
    start = info.header_offset + _HEADER + sum(struct.unpack_from("<HH", whole, info.header_offset + _LENGTHS))
    if info.file_size % dtype.itemsize:
        raise ValueError(f"'{name}' is no list of {dtype}")
    return torch.frombuffer(whole, dtype=dtype, count=info.file_size // dtype.itemsize, offset=start)


_REBUILT = {
    ("torch._utils", "_rebuild_tensor_v2"): lambda numbers, offset, size, stride, *_: torch.as_strided(
        numbers, size, stride, offset
    ),
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "device"): str,
}


def _tensors(root: object, modules: type) -> Iterator[tuple[str, Tensor]]:
    """(dotted name, tensor) of every module's attributes, as in a state dict."""
    waiting, seen = [("", root)], 0
    while waiting:
        prefix, module = waiting.pop()
        for name, value in vars(module).items() if isinstance(module, modules) else ():
            seen += 1
            if seen > _MAX_VALUES:
                raise pickle.UnpicklingError(f"its modules have more than {_MAX_VALUES:,} attributes")
            if isinstance(value, Tensor) and name != "attn_mask":  # the causal mask is no part of a state dict
                yield prefix + name, value
            elif isinstance(value, modules):
                waiting.append((f"{prefix}{name}.", value))
