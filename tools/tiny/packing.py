"""Writes the trained weights in the form that ``clip_prompts.backbones.tiny`` reads."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save

from clip_prompts.common.files import write_bytes_atomically
from tiny.recipe import Recipe
from tiny.vocabulary import Vocabulary


def pack(model, vocabulary: Vocabulary, recipe: Recipe, path: Path) -> str:
    """Writes half-precision weights and the trained token rows to ``path``; returns the file's SHA-256."""
    tensors = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    tensors["token_embedding.rows"] = tensors.pop("token_embedding.weight")
    tensors["token_embedding.ids"] = torch.tensor(vocabulary.ids, dtype=torch.int32)
    data = save(tensors, metadata={"recipe": json.dumps(asdict(recipe), sort_keys=True)})
    write_bytes_atomically(path, data)
    return hashlib.sha256(data).hexdigest()
