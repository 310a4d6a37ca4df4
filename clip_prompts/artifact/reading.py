"""Reads the folder of a learned prompt from anywhere: as data, within limits, and checked before it is used."""

import functools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import MIB, FileRefused, parse_json, read_bytes, read_json
from clip_prompts.common.text import one_line, shown

from . import CONFIG, FILES, MAJOR, MODEL, NAME, VERSION
from .writing import config_sha256, sha256

MAX_MODEL = 1024 * MIB  # bytes of the tensors; a context of 16 vectors for each of 1,000 classes has 33 MB
MAX_HEADER = MIB  # bytes of their names and shapes
MAX_TENSORS = 4096
_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_AGAIN = "Get the folder again, or export it again from its run"


class Artifact(NamedTuple):
    """A prompt as it was read: the content of ``prompt_config.json``, and the tensors by the format's names."""

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def sha256(self) -> str:
        """Hash of the tensors' file."""
        return self.config["files"][MODEL]["sha256"]


def is_prompt(folder: str | os.PathLike) -> bool:
    """True for a folder that holds the config of a prompt."""
    return os.path.isfile(os.path.join(folder, CONFIG))


def read_prompt(folder: str | os.PathLike) -> Artifact:
    """Read and check a prompt's folder. Nothing in it is executed, and no file outside of it is opened.

    Checked are, in this order: kinds and sizes of the files, version, schema, hashes, names, types and shapes of the
    tensors against the declared architecture, and that all values are finite.

    Raises UserError: names the file, what is wrong, and the next step.
    """
    folder = Path(folder)
    try:
        _check_files(folder)
        config = _read_config(folder / CONFIG)
        stated = config["files"][MODEL]
        if not 8 <= stated["bytes"] <= MAX_MODEL:
            raise UserError(
                f"{CONFIG} says that {MODEL} has {stated['bytes']:,} bytes, and the limit is {MAX_MODEL:,}. {_AGAIN}"
            )
        content = read_bytes(folder / MODEL, stated["bytes"])
        if sha256(content) != stated["sha256"]:
            raise UserError(f"{MODEL} was changed: its SHA-256 is not the one in {CONFIG}. {_AGAIN}")
        shapes = _check_header(content, config)
        _check_shapes(shapes, config)
        return Artifact(folder, config, _tensors(content))
    except UserError as error:
        raise UserError(f"'{folder}' cannot be used as a prompt: {error}") from error
    except FileNotFoundError as error:
        name = os.path.basename(error.filename or "")
        raise UserError(f"'{folder}' cannot be used as a prompt: {name} is missing. {_AGAIN}") from error
    except (FileRefused, OSError) as error:
        raise UserError(f"'{folder}' cannot be read as a prompt: {error.strerror or error}") from error


def _check_files(folder: Path) -> None:
    for name in FILES:
        if (folder / name).is_symlink():
            raise UserError(f"{name} is a link. Replace it with the file")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path, MIB)
    except ValueError as error:
        raise UserError(f"{CONFIG} is not valid JSON ({one_line(str(error), 200)}). {_AGAIN}") from error
    _check_version(config)
    from jsonschema.exceptions import best_match

    try:
        problem = best_match(_validator().iter_errors(config))
    except RecursionError as error:
        raise UserError(f"{CONFIG} is nested too deeply. {_AGAIN}") from error
    if problem is not None:
        place = ".".join(map(str, problem.absolute_path)) or "the whole"
        raise UserError(f"{CONFIG}: {one_line(place, 100)}: {one_line(problem.message, 200)}. {_AGAIN}")
    return config


def _check_version(config: object) -> None:
    stated = config.get("format") if isinstance(config, dict) else None
    if not isinstance(stated, dict) or stated.get("name") != NAME:
        raise UserError(f"{CONFIG} does not have the format {NAME}. {_AGAIN}")
    version = stated.get("version")
    major = version.split(".")[0] if isinstance(version, str) else ""
    if major.isdecimal() and len(major) < 5 and int(major) > MAJOR:
        raise UserError(
            f"it has version {one_line(str(version), 20)} of the format {NAME}, but this program reads {VERSION}. "
            "Install a newer clip-prompts"
        )


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = read_json(Path(__file__).with_name("schema.json"))
    return Draft202012Validator(schema)


def _check_header(content: bytes, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Check names, types and metadata in the header of the tensors' file; name -> shape."""
    length = int.from_bytes(content[:8], "little")
    if length > min(MAX_HEADER, len(content) - 8):
        raise UserError(f"the header of {MODEL} has {length:,} bytes, which is too long. {_AGAIN}")
    try:
        header = parse_json(content[8 : 8 + length].decode())
    except ValueError as error:
        raise UserError(f"the header of {MODEL} is not valid JSON ({one_line(str(error), 100)}). {_AGAIN}") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise UserError(f"{MODEL} holds no tensors by name, or more than {MAX_TENSORS:,}. {_AGAIN}")
    metadata = header.pop("__metadata__", {})
    stated = metadata.get("config_sha256") if isinstance(metadata, dict) else None
    if stated != config_sha256(config):
        raise UserError(f"{CONFIG} was changed: its SHA-256 is not the one in {MODEL}. {_AGAIN}")
    shapes: dict[str, tuple[int, ...]] = {}
    for name, entry in header.items():
        kind, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
        if kind not in _BYTES or not isinstance(shape, list) or not _is_shape(shape):
            raise UserError(
                f"tensor '{one_line(name, 80)}' has the invalid type {shown(kind)} or shape {shown(shape)}. {_AGAIN}"
            )
        shapes[name] = tuple(shape)
    return shapes


def _is_shape(shape: list) -> bool:
    return len(shape) <= 4 and all(type(n) is int and 0 < n < 2**31 for n in shape)


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> None:
    """Compare shapes with the architecture and the classes, as far as the format's names tell them."""
    of_text, of_image = config["architecture"]["text"], config["architecture"]["image"]
    classes, layers = len(config["classes"]["names"]), of_image["layers"]
    for name, shape in shapes.items():
        side, _, rest = name.partition(".")
        expected: Iterable[int] | None = None
        if name == "ctx" or (side == "text" and rest.endswith("ctx")):
            expected, most = shape[:-1] + (of_text["width"],), of_text["layers"]
        elif side == "visual" and rest.endswith("ctx"):
            expected, most = shape[:-1] + (of_image["width"],), layers if isinstance(layers, int) else 0
        elif side == "proj" and rest.endswith("weight"):
            expected, most = (of_image["width"], of_text["width"]), of_text["layers"]
        if expected is None:
            continue
        number = rest.split(".")[0]
        if shape != tuple(expected) or (number.isdecimal() and int(number[:9]) >= most):
            raise UserError(f"tensor '{one_line(name, 80)}' {shape} does not fit the declared architecture. {_AGAIN}")
        if side == "ctx" and (len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != classes)):
            raise UserError(f"'ctx' {shape} does not fit {classes:,} classes. {_AGAIN}")
        if len(shape) > 1 and side != "proj" and shape[-2] >= of_text["context_length"] + 1000:
            raise UserError(f"tensor '{one_line(name, 80)}' has too many vectors ({shape[-2]:,}). {_AGAIN}")


def _tensors(content: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = {name: value.float() for name, value in load(content).items()}
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{MODEL} is damaged ({one_line(str(error), 200)}). {_AGAIN}") from error
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise UserError(
                f"tensor '{one_line(name, 80)}' holds values that are not finite (NaN or infinite). {_AGAIN}"
            )
    return tensors


def as_json(config: Mapping[str, Any]) -> str:
    """A config as indented JSON, for people."""
    return json.dumps(config, indent=2, ensure_ascii=False)
