"""The class matrix of a prompt as a file for other software: plain CLIP, open_clip, transformers, detectors."""

import io
import json

import numpy as np
from safetensors.numpy import save

from clip_prompts.common.errors import UserError

from .prompt import Prompt

SUFFIXES = (".safetensors", ".npz", ".npy")


def head_bytes(prompt: Prompt, suffix: str) -> bytes:
    """The content of a file with the unit rows (C, D) in float32 for the prompt's classes.

    Args:
        suffix: ``.npy`` for the rows alone; ``.npz`` with ``weight``, ``names`` and ``scale``; ``.safetensors`` with
            ``weight``, and names and scale in its metadata.

    Raises UserError: the method has no such matrix, or it also changes the image encoder.
    """
    if prompt.config["method"]["image_encoder"] == "prompted":
        raise UserError(
            f"{prompt.method} also learns prompts inside the image encoder, so features of a plain CLIP do not "
            "fit its class matrix. Use predict, or onnx, which exports both"
        )
    rows, scale = prompt.classifier().numpy(), float(prompt.config["logit"]["scale"])
    if suffix == ".safetensors":
        metadata = {"classes": json.dumps(prompt.classes), "scale": repr(scale), "method": prompt.method}
        metadata["backbone"] = prompt.config["base_model"]["name"]
        return save({"weight": rows}, metadata)
    file = io.BytesIO()
    if suffix == ".npy":
        np.save(file, rows, allow_pickle=False)
    else:
        np.savez(file, weight=rows, names=np.array(prompt.classes), scale=np.float32(scale))
    return file.getvalue()
