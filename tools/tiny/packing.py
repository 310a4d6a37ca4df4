"""Writes the trained weights in the form that ``clip_prompts.backbones.tiny`` reads."""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save

from tiny.recipe import Recipe
from tiny.vocabulary import Vocabulary


def pack(model, vocabulary: Vocabulary, recipe: Recipe, path: Path) -> str:
    """Writes half-precision weights and the trained token rows to ``path``; returns the file's SHA-256."""
    tensors = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    tensors["token_embedding.rows"] = tensors.pop("token_embedding.weight")
    tensors["token_embedding.ids"] = torch.tensor(vocabulary.ids, dtype=torch.int32)
    data = save(tensors, metadata={"recipe": json.dumps(asdict(recipe), sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return hashlib.sha256(data).hexdigest()
