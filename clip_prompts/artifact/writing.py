"""Writes the folder of a learned prompt, file by file, each atomically; the config comes last."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import write_bytes_atomically
from clip_prompts.common.text import one_line

from . import CARD, CLASSIFIER, CONFIG, FILES, MODEL, VERSION
from .card import model_card
from .content import describe, last_test
from .names import learned_tensors


def prompt_of(trainer: Any, record: dict | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the tensors of what a trainer (``CLIPTrainer``) has learned. Arguments: see ``describe``."""
    names = trainer.get_model_names()
    if len(names) > 1:
        raise UserError(f"{type(trainer).__name__} registers {len(names)} models; a shared prompt holds one")
    tensors = learned_tensors(trainer._models[names[0]] if names else None)
    return describe(trainer, tensors, record), tensors


def check_folder(folder: str | Path) -> None:
    """Raise UserError if a prompt in this folder would replace files of something else."""
    folder, shown = Path(folder), one_line(str(folder), 200)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{shown}' is a file, not a folder. Give another folder")
    is_of_prompt = any((folder / name).exists() for name in (CONFIG, MODEL))
    if not is_of_prompt and (taken := [name for name in FILES if (folder / name).exists()]):
        raise UserError(
            f"'{shown}' is not the folder of a prompt, and has a file {taken[0]}, which would be lost. Give "
            "another folder"
        )


def write_prompt(
    folder: str | Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    classifier: Tensor | None = None,
) -> Path:
    """Write the folder. Files that belong to a prompt are replaced, others stay.

    Args:
        config: content of ``prompt_config.json`` without ``files``. tensors: float32, on the CPU, by the format's
            names. classifier: unit rows (C, D) for the classes of the config.

    Raises OSError where the folder cannot be written.
    """
    folder = Path(folder)
    content = {key: value for key, value in config.items() if key != "files"}
    files: dict[str, bytes] = {MODEL: _safetensors(tensors, content)}
    if classifier is not None:
        files[CLASSIFIER] = _safetensors({"weight": classifier.float().cpu().contiguous()}, content)
    files[CARD] = model_card(content, sum(value.numel() for value in tensors.values())).encode(
        errors="backslashreplace"
    )
    content["files"] = {name: {"sha256": sha256(data), "bytes": len(data)} for name, data in files.items()}
    for name in FILES:  # what an earlier prompt has left would not belong to this one
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    for name, data in files.items():
        write_bytes_atomically(folder / name, data)
    write_bytes_atomically(folder / CONFIG, (json.dumps(content, indent=1) + "\n").encode())
    return folder


def write_prompt_of_run(trainer: Any, folder: str | Path) -> None:
    """Write what a run has just learned into a folder, and print a line; the run's results are stored already.

    A trainer of one's own that does not load CLIP through ``CLIPTrainer.load_clip``, or that registers several models,
    has no such prompt; the line says so. Raises OSError where the folder cannot be written.
    """
    if trainer.clip_model is None:
        return
    try:
        config, tensors = prompt_of(trainer, last_test(Path(trainer.cfg.OUTPUT_DIR)))
    except UserError as error:
        print(f"Note: no prompt is written: {error}")
        return
    print(f"Learned prompt: {write_prompt(folder, config, tensors)}")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def config_sha256(config: Mapping[str, Any]) -> str:
    """SHA-256 of a config without the hashes of the other files, which hold it themselves."""
    content = {key: value for key, value in config.items() if key != "files"}
    return sha256(json.dumps(content, sort_keys=True).encode())


def _safetensors(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> bytes:
    metadata = {"format": "pt", "clip_prompt": VERSION, "config_sha256": config_sha256(config)}
    return save({name: value.to(torch.float32) for name, value in tensors.items()}, metadata)
