"""Contrastive training of the tiny CLIP, and its weights as ``clip_prompts.backbones.tiny`` reads them."""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from tqdm import tqdm

from clip_prompts.common.files import write_bytes_atomically
from tiny.captions import fits, make_caption
from tiny.pool import Pool
from tiny.recipe import Recipe
from tiny.vocabulary import Vocabulary

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def build_model(recipe: Recipe, tokens: int):
    """OpenAI's CLIP class at a small size, with rows for the captions' tokens only."""
    from clip.model import CLIP

    torch.manual_seed(recipe.seed)  # a program of its own: the global stream is free to use here
    heads = recipe.width // 64
    return CLIP(
        recipe.width, 32, recipe.vision_layers, recipe.width, recipe.patch,
        77, tokens, recipe.width, heads, recipe.text_layers,
    ).float()  # fmt: skip


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """Bytes (B, 3, H, W) to the float input of the image encoder."""
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (pictures.float() / 255 - mean) / std


def augment(pictures: np.ndarray, rng: np.random.Generator, reach: int = 2) -> np.ndarray:
    """Shifts every picture by up to ``reach`` pixels; the border is repeated."""
    count, _, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    dy, dx = rng.integers(0, 2 * reach + 1, (2, count))
    rows = dy[:, None] + np.arange(height)
    cols = dx[:, None] + np.arange(width)
    return padded[np.arange(count)[:, None, None], :, rows[:, :, None], cols[:, None, :]].transpose(0, 3, 1, 2)


def contrastive_loss(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Symmetric cross-entropy against all right answers, each with an equal share.

    Args:
        logits: scaled cosine similarities (images, captions).
        positive: bool (images, captions), true where the caption fits the picture.
    """
    target = positive.float()
    by_image = target / target.sum(1, keepdim=True)
    by_text = (target / target.sum(0, keepdim=True)).t()
    return (F.cross_entropy(logits, by_image) + F.cross_entropy(logits.t(), by_text)) / 2


def encode_texts(model, tokens: torch.Tensor) -> torch.Tensor:
    """Unit text features. Short captions run apart from long ones, so little padding is computed (causal mask)."""
    lengths = tokens.argmax(dim=1) + 1
    order = lengths.argsort(stable=True)
    parts = [model.encode_text(tokens[rows, : int(lengths[rows].max())]) for rows in order.chunk(3)]
    return F.normalize(torch.cat(parts)[order.argsort()], dim=-1)


def _optimizer(model, recipe: Recipe) -> torch.optim.AdamW:
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98), eps=1e-6)


def _learning_rate(step: int, recipe: Recipe) -> float:
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def _batches(pool: Pool, recipe: Recipe, rng: np.random.Generator):
    """Endless batches of row numbers (batch,); every picture once per pass."""
    while True:
        order = rng.permutation(len(pool))
        for first in range(0, len(order) - recipe.batch + 1, recipe.batch):
            yield order[first : first + recipe.batch]


def train(pool: Pool, vocabulary: Vocabulary, recipe: Recipe, on_step=None):
    """Trains from random weights and returns the model.

    ``on_step(step, model)`` is called after every step.
    """
    model = build_model(recipe, len(vocabulary.ids)).train()
    optimizer = _optimizer(model, recipe)
    rng = np.random.default_rng([recipe.seed, 2])
    rows = _batches(pool, recipe, rng)
    progress = tqdm(range(recipe.steps), desc="train", unit="step", mininterval=5)
    for step in progress:
        batch = next(rows)
        codes = pool.codes[batch]
        captions, stated = zip(*(make_caption(code, rng) for code in codes), strict=True)
        pictures = torch.from_numpy(augment(pool.pictures[batch], rng))
        images = F.normalize(model.encode_image(normalise(pictures)), dim=-1)
        texts = encode_texts(model, vocabulary.encode(list(captions)))
        positive = torch.from_numpy(fits(codes, codes, np.stack(stated)))
        loss = contrastive_loss(model.logit_scale.exp() * images @ texts.t(), positive)
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(step, recipe)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))
        if step % 50 == 0:
            progress.set_postfix_str(f"loss {loss.item():.3f}, scale {model.logit_scale.exp().item():.1f}")
        if on_step is not None:
            on_step(step + 1, model)
    return model.eval()


def pack(model, vocabulary: Vocabulary, recipe: Recipe, path: Path) -> str:
    """Writes half-precision weights and the trained token rows to ``path``; returns the file's SHA-256."""
    tensors = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    tensors["token_embedding.rows"] = tensors.pop("token_embedding.weight")
    tensors["token_embedding.ids"] = torch.tensor(vocabulary.ids, dtype=torch.int32)
    data = save(tensors, metadata={"recipe": json.dumps(asdict(recipe), sort_keys=True)})
    write_bytes_atomically(path, data)
    return hashlib.sha256(data).hexdigest()
