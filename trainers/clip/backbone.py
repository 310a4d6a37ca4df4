"""CLIP backbones: OpenAI's by name, any checkpoint by path, and the embedded ``tiny``."""

import hashlib
from pathlib import Path

import clip.clip as openai
import torch
from clip.model import CLIP, build_model

from common.errors import UserError, unknown

from .weights_file import ACCEPTED, read_weights

TINY = "tiny"


def load_clip(name: str) -> CLIP:
    """Build a frozen CLIP in evaluation mode on the CPU, in its stored precision (see ``Precision.convert``).

    Args:
        name: an OpenAI model name (``ViT-B/16``), ``tiny``, or the path of a checkpoint: a TorchScript
            archive, a state dict, or a safetensors file, in OpenAI's naming.

    Building draws from torch's global generator: CLIP initialises itself before the weights are loaded. Upstream
    does the same, and seeds promise equal numbers only while we do too.

    Raises:
        UserError: unknown name, or a file that does not hold CLIP weights.
    """
    state_dict = _state_dict(name)
    missing = [k for k in ("text_projection", "positional_embedding", "token_embedding.weight") if k not in state_dict]
    if missing:
        raise UserError(f"Backbone '{name}' is not a CLIP checkpoint: it has no '{missing[0]}'. {ACCEPTED}")
    try:
        with torch.device("meta"):  # without memory: sizes that do not belong together may ask for any amount of it
            build_model({key: value.to("meta") for key, value in state_dict.items()})
        model = build_model(dict(state_dict))
    except Exception as error:  # the structure is told by the sizes of the weights, and these may say anything
        reason = (str(error) or type(error).__name__).splitlines()[-1].strip()
        raise UserError(f"Backbone '{name}' is not a CLIP checkpoint that fits together: {reason}") from error
    return model.requires_grad_(False)


def backbone_file(name: str) -> Path:
    """The file that holds a backbone's weights; OpenAI's are downloaded to ``~/.cache/clip`` on first use.

    Raises:
        UserError: unknown name, missing path, or a download that failed.
    """
    if name == TINY:
        from .tiny import WEIGHTS

        return WEIGHTS
    if name in openai._MODELS:
        url, folder = openai._MODELS[name], Path("~/.cache/clip").expanduser()
        try:
            return Path(openai._download(url, str(folder)))
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"Backbone '{name}' could not be downloaded ({error}). Get {url} and put it in {folder}/"
            ) from error
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 2:
        raise UserError(f"Backbone file '{name}' does not exist. Give the path of a checkpoint, or one of: {_names()}")
    raise unknown("backbone", name, [TINY, *openai._MODELS, "<path of a checkpoint>"])


def backbone_sha256(name: str) -> str:
    """SHA-256 of the weights file, in hexadecimal; it belongs to what determines a result."""
    if name in openai._MODELS:
        return openai._MODELS[name].split("/")[-2]  # part of the address; checked when downloaded
    digest = hashlib.sha256()
    with open(backbone_file(name), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _names() -> str:
    return ", ".join([TINY, *openai._MODELS])


def _state_dict(name: str) -> dict[str, torch.Tensor]:
    if name == TINY:
        from .tiny import tiny_state_dict

        return tiny_state_dict()
    return read_weights(backbone_file(name))
