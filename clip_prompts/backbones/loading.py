"""CLIP backbones: OpenAI's by name, any checkpoint by path, and the embedded ``tiny``."""

from pathlib import Path

import clip.clip as openai
import torch
from clip.model import CLIP

from clip_prompts.common.contents import content_hashes
from clip_prompts.common.errors import UserError, unknown

from .building import build
from .state_dicts import find_clip
from .structure import Structure, describe
from .weights_file import free_mapped, read_weights

TINY = "tiny"


def load_clip(name: str, heads: int = 0, text_heads: int = 0, activation: str = "", *, half: bool = True) -> CLIP:
    """Build a frozen CLIP in evaluation mode on the CPU, in OpenAI's precision: half, except for norms and embeddings.

    Args:
        name: an OpenAI model name (``ViT-B/16``), ``tiny``, or the path of a checkpoint: a TorchScript
            archive, a state dict, or a safetensors file, in OpenAI's naming, maybe wrapped (see ``state_dicts.py``).
        heads, text_heads: attention heads of a file of another make, whose weights do not tell them; 0: width / 64.
        activation: of such a file: "" or ``quickgelu``, or ``gelu``.
        half: False stores float32 everywhere. The values are the same, rounded to half where OpenAI's are half.

    Building draws from torch's global generator: CLIP initialises itself before the weights are loaded. Upstream
    does the same, and seeds promise equal numbers only while we do too.

    Raises UserError: unknown name, a file that does not hold CLIP weights, or one whose heads are a guess.
    """
    structure = Structure(heads, text_heads, activation)
    weights, note, is_mapped = _weights(name)
    known = name == TINY or is_of_openai(backbone_sha256(name))
    if known and (heads or text_heads or activation not in ("", "quickgelu")):
        raise UserError(
            f"MODEL.BACKBONE.HEADS, TEXT_HEADS and ACT are for files of another make, but the structure of '{name}' is "
            'known. Set them to 0, 0 and ""'
        )
    if not known:
        structure.check(weights, name)
    model = build(weights, name, half, free_mapped if is_mapped else None)
    structure.apply(model, name)
    if not known:
        print(f"Backbone '{name}' is not a file of OpenAI's. {note}It is read as {describe(model)}")
    return model.requires_grad_(False)


def backbone_file(name: str) -> Path:
    """The file that holds a backbone's weights; OpenAI's are downloaded to ``~/.cache/clip`` on first use.

    Raises UserError: unknown name, missing path, or a download that failed.
    """
    if name == TINY:
        from .tiny import WEIGHTS

        return WEIGHTS
    if name in openai._MODELS:
        url, folder = openai._MODELS[name], Path("~/.cache/clip").expanduser()
        file = folder / url.split("/")[-1]
        if file.is_file() and content_hashes([file])[0] == backbone_sha256(name):  # clip would read the whole file
            return file
        try:
            return Path(openai._download(url, str(folder)))
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"Backbone '{name}' could not be downloaded ({error}). Get {url} and put it in {folder}/"
            ) from error
    check_backbone(name)
    return Path(name).expanduser()


def check_backbone(name: str) -> None:
    """Raise UserError unless a backbone is known by name, or is the path of a file. Downloads nothing."""
    path = Path(name).expanduser()
    if name == TINY or name in openai._MODELS or path.is_file():
        return
    if path.suffix or len(path.parts) > 2:
        known = ", ".join([TINY, *openai._MODELS])
        raise UserError(f"Backbone file '{name}' does not exist. Give the path of a checkpoint, or one of: {known}")
    raise unknown("backbone", name, [TINY, *openai._MODELS, "<path of a checkpoint>"])


def backbone_sha256(name: str) -> str:
    """SHA-256 of the weights file, in hexadecimal; it belongs to what determines a result."""
    if name in openai._MODELS:
        return openai._MODELS[name].split("/")[-2]  # part of the address; checked when downloaded
    return content_hashes([backbone_file(name)])[0]


def is_of_openai(sha256: str) -> bool:
    """True for the SHA-256 of a file of weights that OpenAI published."""
    return sha256 in {url.split("/")[-2] for url in openai._MODELS.values()}


def _weights(name: str) -> tuple[dict[str, torch.Tensor], str, bool]:
    """Weights by OpenAI's names; a note on where in the file they are; whether they are mapped from it."""
    if name == TINY:
        from .tiny import tiny_state_dict

        return tiny_state_dict(), "", False
    path = backbone_file(name)
    content, is_mapped = read_weights(path)
    reading = find_clip(content, path, path.stat().st_size)
    note = "" if reading.place == "the file itself" else f"Its weights are in {reading.place}. "
    note += f"{reading.left_out} other tensors in it are not used. " if reading.left_out else ""
    return reading.weights, note, is_mapped
