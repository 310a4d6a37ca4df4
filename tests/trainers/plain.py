"""CoOp and CoCoOp the obvious way: every prompt 77 tokens long, one class and one image at a time."""

import clip
import torch
from clip.clip import _tokenizer
from clip.model import CLIP

SOS, EOT = _tokenizer.encoder["<|startoftext|>"], _tokenizer.encoder["<|endoftext|>"]


def small_clip(width: int = 64, embed_dim: int = 64, text_layers: int = 2) -> CLIP:
    """A CLIP of two image layers on 32 x 32 pixels, with random weights, fp32, frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(embed_dim, 32, 2, 64, 8, 77, 49408, width, width // 64, text_layers)
    return model.float().eval().requires_grad_(False)


def prompt(model: CLIP, ctx: torch.Tensor, name: str, position: str) -> tuple[torch.Tensor, int]:
    """One class' prompt: context (M, d) to embeddings (77, d), and the position of the end-of-text token."""

    def embed(ids):
        return model.token_embedding(torch.tensor(ids, dtype=torch.long))

    name_ids = _tokenizer.encode(name)
    half = len(ctx) // 2
    middle = {
        "end": [ctx, embed(name_ids)],
        "middle": [ctx[:half], embed(name_ids), ctx[half:]],
        "front": [embed(name_ids), ctx],
    }[position]
    words = torch.cat([embed([SOS]), *middle, embed(_tokenizer.encode("."))])
    padding = embed([EOT] + [0] * (77 - len(words) - 1))
    return torch.cat([words, padding]), len(words)


def text_feature(model: CLIP, embeddings: torch.Tensor, eot: int) -> torch.Tensor:
    """g: all 77 positions through the whole transformer, then the end-of-text state; a unit vector (D,)."""
    x = (embeddings + model.positional_embedding)[:, None]  # CLIP's own blocks take (77, 1, d)
    x = model.ln_final(model.transformer(x)[:, 0])
    feature = x[eot] @ model.text_projection
    return feature / feature.norm()


def image_feature(model: CLIP, image: torch.Tensor) -> torch.Tensor:
    """f: one image (3, H, W) to a unit vector (D,)."""
    feature = model.encode_image(image[None])[0]
    return feature / feature.norm()


def logits(model: CLIP, images: torch.Tensor, names: list[str], context, position: str = "end") -> torch.Tensor:
    """Logits (B, C); ``context(x, c)`` gives the (M, d) context for image feature x and class number c."""
    rows = []
    for image in images:
        x = image_feature(model, image)
        w = [text_feature(model, *prompt(model, context(x, c), name, position)) for c, name in enumerate(names)]
        rows.append(torch.stack([model.logit_scale.exp() * (x @ w_c) for w_c in w]))
    return torch.stack(rows)


def tokens_of(text: str) -> int:
    """Length of a text with start and end tokens."""
    return int(clip.tokenize(text).argmax()) + 1


def prompted_feature(model: CLIP, embeddings, eot, deep=None, inserted=None, hooks=None) -> torch.Tensor:
    """g with what a method adds: all 77 positions, and those inserted, one head at a time; not normalized (D,)."""
    x = embeddings + model.positional_embedding
    x = model.ln_final(_layers(model.transformer.resblocks, x, deep, inserted, hooks, "first", True))
    return x[eot + (len(next(iter(inserted.values()))) if inserted else 0)] @ model.text_projection


def image_states(visual, image, rows=None, deep=None, inserted=None, hooks=None) -> torch.Tensor:
    """One image (3, H, W) to the states (L, v) of its rows after the last norm, with what a method adds."""
    patches = visual.conv1(image[None])[0].flatten(1).t()
    x = torch.cat([visual.class_embedding[None], patches]) + visual.positional_embedding
    if rows is not None:
        x = torch.cat([x, rows])
    return visual.ln_post(_layers(visual.transformer.resblocks, visual.ln_pre(x), deep, inserted, hooks, "last", False))


def _layers(blocks, x, deep, inserted, hooks, replaced, causal) -> torch.Tensor:
    """Rows x (L, d) through all blocks; deep rows replace the last rows, or those at positions 1 to n."""
    inserted = inserted or {}
    for layer, block in enumerate(blocks):
        if (rows := (deep or {}).get(layer)) is not None:
            x = torch.cat([x[: -len(rows)], rows] if replaced == "last" else [x[:1], rows, x[1 + len(rows) :]])
        if layer in inserted:
            after = 1 if layer == min(inserted) else 1 + len(inserted[layer])
            x = torch.cat([x[:1], inserted[layer], x[after:]])
        x = _block(block, x, (hooks or {}).get(layer), causal)
    return x


def _block(block, x, hook, causal) -> torch.Tensor:
    """One of CLIP's blocks as its formulas are written, one head at a time."""
    normed, heads = block.ln_1(x), block.attn.num_heads
    qkv = normed @ block.attn.in_proj_weight.t() + block.attn.in_proj_bias
    qkv = hook.queries_keys_values(normed, qkv) if hook else qkv
    seen = []
    for q, k, v in zip(*(part.chunk(heads, dim=1) for part in qkv.chunk(3, dim=1)), strict=True):
        scores = q @ k.t() / q.shape[1] ** 0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
        seen.append(scores.softmax(dim=1) @ v)
    seen = torch.cat(seen, dim=1)
    x = x + block.attn.out_proj(seen)
    x = hook.projection(seen, x) if hook else x
    x = x + block.mlp(block.ln_2(x))
    return hook.after(normed, x) if hook else x
