"""CLIP's state dict inside the content of a file, however it is wrapped."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

ACCEPTED = "Accepted: a model name, or a TorchScript archive, state dict or safetensors file in OpenAI's naming."
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys of a checkpoint that hold the weights
PREFIX = re.compile(r"(?:(?:module|model|clip_model|_orig_mod)\.)*")
# Every CLIP has them; the first one is looked for to find the prefix.
REQUIRED = ("token_embedding.weight", "positional_embedding", "text_projection", "visual.conv1.weight")
# Numbers that OpenAI's archives store next to the weights.
_SIZES = ("input_resolution", "context_length", "vocab_size")
MAX_LAYERS = 200  # of an encoder; OpenAI's have up to 24, ResNets up to 36 blocks in a stage
_RESBLOCK = re.compile(r"((?:visual\.)?transformer\.resblocks)\.(\d+)\.|(visual\.layer[1-4])\.(\d+)\.")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_VOCABULARY = 49_408  # tokens of CLIP's tokenizer


class Reading(NamedTuple):
    """One way to find CLIP's weights in a file: where they are, and by OpenAI's names."""

    place: str
    wrapper: str  # keys of the dict with the weights, or ""
    weights: dict[str, Tensor]
    left_out: int  # tensors next to the weights, with another prefix


def find_clip(content: object, path: Path, size: int) -> Reading:
    """The only reading of a file's content as CLIP's state dict.

    The weights may be in ``WRAPPERS``, and their names may start with any of ``PREFIX``, in any combination. Weights in
    other dicts of the file are found, but not taken: training stores averages and teachers there.

    Args:
        content: of the file. path: for messages. size: bytes of the file; no tensor may stand for more.

    Raises UserError: no reading fits, or several; or a tensor is too large, complex or no floating point.
    """
    readings = list(_readings(content))
    if len(readings) > 1:
        places = ", ".join(reading.place for reading in readings)
        raise UserError(
            f"Backbone file '{path}' holds CLIP weights in {len(readings)} places ({places}). Save only one: "
            "torch.save(STATE_DICT, 'weights.pt')"
        )
    if readings and readings[0].wrapper not in ("", *WRAPPERS):
        keys = "".join(f"[{key!r}]" for key in readings[0].wrapper.split("/"))
        raise UserError(
            f"Backbone file '{path}' holds CLIP's weights in {readings[0].place}, and nothing says that these are the "
            f"ones to use. Save them alone: torch.save(torch.load(FILE){keys}, 'weights.pt')"
        )
    if not readings:
        raise UserError(f"Backbone file '{path}' is not a CLIP checkpoint: {_why_not(content, size)}. {ACCEPTED}")
    (reading,) = readings
    _check_layers(reading.weights, path)
    _check(reading.weights, path, size)
    if reading.weights.get("logit_scale", torch.ones(0)).numel() == 1:  # some programs store a list of one number
        reading.weights["logit_scale"] = reading.weights["logit_scale"].reshape(())
    return reading


def _readings(content: object) -> Iterator[Reading]:
    for wrapper, part in _parts(content):
        prefixes = sorted({key.removesuffix(REQUIRED[0]) for key in part if key.endswith(REQUIRED[0])})
        for prefix in filter(PREFIX.fullmatch, prefixes):
            if all(prefix + key in part for key in REQUIRED):
                weights = {key.removeprefix(prefix): value for key, value in part.items() if key.startswith(prefix)}
                place = f"'{one_line(wrapper, 80)}'" if wrapper else "the file itself"
                place += f" with the prefix '{prefix}'" if prefix else ""
                tensors = sum(isinstance(value, Tensor) for value in part.values())
                yield Reading(place, wrapper, weights, tensors - len(weights))


def _parts(content: object) -> Iterator[tuple[str, dict]]:
    """(names of the wrappers, dict with text as keys): the content itself, and the dicts in it, two levels deep."""
    waiting, seen = [("", content)], set()
    while waiting:
        wrapper, part = waiting.pop(0)
        if not isinstance(part, Mapping) or (id(part) in seen and wrapper not in WRAPPERS):
            continue  # a file may hold one dict a million times
        seen.add(id(part))
        part = {key: value for key, value in part.items() if isinstance(key, str)}
        yield wrapper, part
        if wrapper.count("/") < 1:
            waiting += [(f"{wrapper}/{key}".lstrip("/"), value) for key, value in part.items()]


def _why_not(content: object, size: int) -> str:
    parts = list(_parts(content))
    keys = [key for _, part in parts for key in part]
    if any("text_model.embeddings." in key or "vision_model.embeddings." in key for key in keys):
        return (
            "its tensors have the names of Hugging Face's CLIPModel (text_model.embeddings...), not OpenAI's. Take the "
            "file in OpenAI's format, or convert the names"
        )
    if any(".trunk." in key or key.startswith("text.") for key in keys):
        return "its tensors have open_clip's names of a model whose encoders are not OpenAI's (text. or visual.trunk.)"
    if other := [key.removesuffix(REQUIRED[0]) for key in keys if key.endswith(REQUIRED[0])]:
        if all(PREFIX.fullmatch(prefix) for prefix in other):
            lacking = next(k for k in REQUIRED if not any(other[0] + k in part for _, part in parts))
            return f"it has no '{other[0]}{lacking}'"
        prefix = one_line(other[0], 80)
        return (
            f"its weights have the unknown prefix '{prefix}'. Save them without it: "
            "torch.save({key.removeprefix('" + prefix + "'): value for key, value in STATE_DICT.items()}, 'weights.pt')"
        )
    tensors = [value for _, part in parts for value in part.values() if isinstance(value, Tensor)]
    if not tensors or not all(_fits(value, size) for value in tensors):
        return "it holds something else than tensors by name"
    return f"it has no '{REQUIRED[0]}'"


def _check(weights: Mapping[str, Tensor], path: Path, size: int) -> None:
    for key, value in weights.items():
        name = one_line(key, 80)
        if not isinstance(value, Tensor) or not _fits(value, size):
            raise UserError(f"Backbone file '{path}' holds something else than tensors by name: '{name}'. {ACCEPTED}")
        if key in _SIZES:
            continue
        if value.layout != torch.strided or value.device.type != "cpu":
            form = "on no device (meta)" if value.device.type != "cpu" else f"in the layout {value.layout}"
            raise UserError(
                f"Backbone file '{path}': '{name}' is stored {form}. Save plain tensors in float32 or float16, as "
                "model.state_dict() of a loaded model gives them"
            )
        if value.dtype not in _FLOATS and not key.endswith("num_batches_tracked"):
            raise UserError(
                f"Backbone file '{path}': '{name}' holds numbers of type {value.dtype}, which cannot be weights of "
                "CLIP. Save the weights in float32 or float16"
            )
    words = weights["token_embedding.weight"]
    if words.dim() == 2 and len(words) != _VOCABULARY:
        raise UserError(
            f"Backbone file '{path}' knows {len(words):,} tokens, but CLIP's tokenizer has {_VOCABULARY:,}, so "
            "it would read other words. Use a model with CLIP's vocabulary"
        )


def _fits(value: Tensor, size: int) -> bool:
    """False for a tensor that repeats a few numbers of the file without end."""
    return value.numel() * value.element_size() <= size


def _check_layers(weights: Mapping[str, object], path: Path) -> None:
    layers: dict[str, set[str]] = {}
    for key in weights:
        if found := _RESBLOCK.match(key):
            layers.setdefault(found[1] or found[3], set()).add(found[2] or found[4])
    for place, numbers in layers.items():
        if len(numbers) > MAX_LAYERS:
            raise UserError(
                f"Backbone file '{path}': '{place}' has {len(numbers):,} layers, more than the {MAX_LAYERS} that this "
                "program builds. It is no CLIP"
            )
