"""Shared prompts: the config and the tensors, each also with hashes that fit what was done to it."""

import json
from pathlib import Path

from PIL import Image

from clip_prompts.artifact import CONFIG, MODEL
from clip_prompts.artifact.writing import config_sha256, sha256
from clip_prompts.common.errors import UserError
from clip_prompts.prompt.loading import load_prompt
from tests.fuzz.mutate import spoil_bytes, spoil_json
from tests.prompt.made import made

from .base import Format

_METHODS = {"CoOp": {}, "MaPLe": {}, "CoOp of classes": {"CSC": True}}


def _folders(top: Path) -> list[Path]:
    return [made(top / f"seed {name}", name.split()[0], **settings) for name, settings in _METHODS.items()]


def config_seeds(folder: Path) -> list[bytes]:
    return [(one / CONFIG).read_bytes() for one in _folders(folder)]


def tensor_seeds(folder: Path) -> list[bytes]:
    return [(one / MODEL).read_bytes() for one in _folders(folder)]


def use(folder: Path) -> None:
    prompt = load_prompt(folder, device="cpu")
    prompt.predict(Image.new("RGB", (40, 30)), top=2)
    prompt.save(folder / "again")


def read_config(path: Path) -> None:
    """Read the config next to the tensors of its method; then again with all hashes made to fit."""
    if not path.is_file():  # a FIFO in its place would block
        return use(path.parent)
    content = path.read_bytes()
    model = (
        (path.parent.parent / "seed MaPLe" / MODEL) if b"MaPLe" in content else path.parent.parent / "seed CoOp" / MODEL
    )
    if b'"CSC": true' in content:
        model = path.parent.parent / "seed CoOp of classes" / MODEL
    (path.parent / MODEL).write_bytes(model.read_bytes())
    try:
        use(path.parent)
    except UserError:
        try:
            config = json.loads(content)
            sign(path.parent, config, model.read_bytes())
        except (ValueError, RecursionError, TypeError, AttributeError, UnicodeEncodeError):
            raise UserError("the config is no JSON of a prompt") from None
        use(path.parent)


def sign(folder: Path, config: dict, tensors: bytes) -> None:
    """Write config and tensors with hashes that fit."""
    length = int.from_bytes(tensors[:8], "little")
    header = json.loads(tensors[8 : 8 + length])
    header["__metadata__"]["config_sha256"] = config_sha256(config)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(8, "little") + text + tensors[8 + length :]
    config["files"] = {MODEL: {"sha256": sha256(whole), "bytes": len(whole)}}
    (folder / MODEL).write_bytes(whole)
    (folder / CONFIG).write_text(json.dumps(config))


def read_tensors(path: Path) -> None:
    """Read the tensors with a config that names their hash."""
    if not path.is_file():
        return use(path.parent)
    content = path.read_bytes()
    name = (
        "MaPLe" if b"proj.0" in content else "CoOp of classes" if b"[3,4,128]" in content.replace(b" ", b"") else "CoOp"
    )
    config = json.loads((path.parent.parent / f"seed {name}" / CONFIG).read_text())
    config["files"] = {MODEL: {"sha256": sha256(content), "bytes": len(content)}}
    (path.parent / CONFIG).write_text(json.dumps(config))
    use(path.parent)


FORMATS = [
    Format("shared prompt, config", f"prompt/{CONFIG}", (UserError,), config_seeds, spoil_json, read_config),
    Format("shared prompt, tensors", f"prompt/{MODEL}", (UserError,), tensor_seeds, spoil_bytes, read_tensors),
]
