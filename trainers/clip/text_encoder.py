"""CLIP's text transformer on packed prompts: each distinct position is computed once, and none that is not read.

The transformer is causal and only end-of-text states are read. So nothing behind end-of-text matters, and leading
positions that all prompts share need computing once, not once per prompt (see ``prompt_set.py``). Linear layers,
norms and MLPs run over the packed rows, whosever they are; only attention asks which rows belong together.
"""

import torch
import torch.nn.functional as F
from clip.model import CLIP, ResidualAttentionBlock
from torch import Tensor, nn

from .memory import MemoryBudget, TextShape
from .prompt_set import PromptSet


class TextEncoder(nn.Module):
    """g(t) of the papers: prompts to text features; frozen, but gradients flow through to what is learned.

    Args:
        clip_model: whose text side this is.
        budget: how much is encoded at once; by default everything, where gradients are needed.
    """

    def __init__(self, clip_model: CLIP, budget: MemoryBudget | None = None) -> None:
        super().__init__()
        self.budget = budget or MemoryBudget()
        self.blocks = clip_model.transformer.resblocks
        self.token_embedding = clip_model.token_embedding
        self.positional_embedding = clip_model.positional_embedding
        self.ln_final = clip_model.ln_final
        self.text_projection = clip_model.text_projection
        self.dtype = clip_model.dtype

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids (...) to embeddings (..., d), without positions."""
        return self.token_embedding(tokens).to(self.dtype)

    def forward(self, prompts: PromptSet, learned: Tensor | None = None) -> Tensor:
        """Encode a set of C prompts, under B contexts at once.

        Args:
            prompts: the set.
            learned: the learned vectors that the set names, (B, K, d); None for a set without any (B = 1).

        Returns:
            Features (B, C, D), not normalised.
        """
        return self.budget.encode(self._encode, self.shape, prompts, learned)[:, prompts.rank]

    @property
    def shape(self) -> TextShape:
        """What the memory of encoding depends on."""
        attn, (width, joint) = self.blocks[0].attn, self.text_projection.shape
        return TextShape(len(self.blocks), width, attn.num_heads, joint, self.dtype.itemsize)

    def contexts_at_once(self, prompts: PromptSet) -> int:
        """How many contexts an evaluation encodes at once, so that it holds no more features than it needs."""
        return self.budget.contexts_at_once(self.shape, prompts)

    def _encode(self, prompts: PromptSet, learned: Tensor | None) -> Tensor:
        """Features (B, C, D) in packed order, in one go."""
        x = prompts.rows(learned) + self.positional_embedding[prompts.positions].to(self.dtype)  # (B, R, d)
        for block in self.blocks[:-1]:
            x = x + block.attn.out_proj(_attend(block, block.ln_1(x), prompts))
            x = x + _mlp(block, block.ln_2(x))
        last = self.blocks[-1]
        x = x[:, prompts.ends] + last.attn.out_proj(_attend(last, last.ln_1(x), prompts, ends_only=True))
        x = x + _mlp(last, last.ln_2(x))
        return self.ln_final(x).to(self.dtype) @ self.text_projection


def _mlp(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """The block's MLP, rows (B, R, d) to (B, R, d).

    CLIP's QuickGELU, x sigmoid(1.702 x), is silu(1.702 x) / 1.702: PyTorch's fused function keeps one tensor for the
    backward pass, where the formula as written keeps two. The factors ride on the matrix products or on rows of
    width d, so that neither direction takes a pass of its own over the four times wider hidden rows.
    """
    fc, proj, factor = block.mlp.c_fc, block.mlp.c_proj, 1.702
    hidden = torch.addmm(fc.bias, x.flatten(0, 1), fc.weight.t(), beta=factor, alpha=factor)
    out = F.linear(F.silu(hidden), proj.weight).div(factor) + proj.bias
    return out.view_as(x)


def _attend(block: ResidualAttentionBlock, x: Tensor, prompts: PromptSet, ends_only: bool = False) -> Tensor:
    """Self-attention of packed rows: each looks at the shared rows, and at its own prompt's rows up to itself.

    Args:
        x: rows (B, R, d), normalised. ends_only: compute the result for end-of-text rows only.

    Returns:
        (B, R, d), or (B, C, d) in packed order; before the output projection.
    """
    attn = block.attn
    heads, P = attn.num_heads, prompts.shared
    qkv = F.linear(x, attn.in_proj_weight, attn.in_proj_bias).unflatten(-1, (3, heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, h, R, d/h)
    # One split, whose backward pass is one concatenation; slices would each fill a tensor of zeros there.
    sizes = [P, *(count * length for count, length in prompts.groups)]
    parts_of = zip(*(t.split(sizes, dim=2) for t in (q, k, v)), strict=True)
    # Copies of the shared rows: views would keep all of q, k and v for the backward pass, which copies of the rest do.
    q_shared, k_shared, v_shared = (t.clone() for t in next(parts_of))
    parts = [] if ends_only else [F.scaled_dot_product_attention(q_shared, k_shared, v_shared, is_causal=True)]
    scale = q.shape[-1] ** -0.5
    for (count, length), own in zip(prompts.groups, parts_of, strict=True):  # equal lengths need no padding
        q_own, k_own, v_own = (t.unflatten(2, (count, length)) for t in own)  # (B, h, n, L, d/h)
        if ends_only:
            q_own = q_own[:, :, :, -1:]
        q_own = q_own.contiguous()  # once for both products
        # The shared keys meet all queries in one product, without a copy for each prompt.
        to_shared = (q_own.flatten(2, 3) @ k_shared.transpose(-1, -2)).unflatten(2, q_own.shape[2:4])
        to_own = q_own @ k_own.transpose(-1, -2)
        if not ends_only:
            to_own = to_own + prompts.causal[:length, :length].to(to_own.dtype)
        weight = torch.softmax(torch.cat([to_shared, to_own], dim=-1) * scale, dim=-1)
        seen = (weight[..., :P].flatten(2, 3) @ v_shared).unflatten(2, q_own.shape[2:4]) + weight[..., P:] @ v_own
        parts.append(seen.flatten(2, 3))
    return torch.cat(parts, dim=2).transpose(1, 2).flatten(2)
