"""CLIP's text transformer on embedded prompts, computed no further than it is read."""

import torch
import torch.nn.functional as F
from clip.model import CLIP, ResidualAttentionBlock
from torch import Tensor, nn


class TextEncoder(nn.Module):
    """g(t) of the papers: embedded prompts to text features; frozen, but gradients flow through it.

    The mask is causal and only the end-of-text state is read, so callers cut prompts behind the longest one's
    end-of-text token; nothing changes by it.
    """

    def __init__(self, clip_model: CLIP) -> None:
        super().__init__()
        self.blocks = clip_model.transformer.resblocks
        self.token_embedding = clip_model.token_embedding
        self.positional_embedding = clip_model.positional_embedding
        self.ln_final = clip_model.ln_final
        self.text_projection = clip_model.text_projection
        self.dtype = clip_model.dtype

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids (N, L) to embeddings (N, L, d), without positions."""
        return self.token_embedding(tokens).to(self.dtype)

    def forward(self, prompts: Tensor, eot: Tensor) -> Tensor:
        """Encode prompts.

        Args:
            prompts: embeddings (N, L, d), L at most the model's context length.
            eot: position of each prompt's end-of-text token (N,).

        Returns:
            Features (N, D), not normalised.
        """
        x = prompts.to(self.dtype) + self.positional_embedding[: prompts.shape[1]].to(self.dtype)
        for block in self.blocks:
            x = x + _causal_attention(block, block.ln_1(x))
            x = x + block.mlp(block.ln_2(x))
        x = x[torch.arange(len(x), device=x.device), eot]
        return self.ln_final(x).to(self.dtype) @ self.text_projection


def _causal_attention(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """Self-attention of one block, (N, L, d) to (N, L, d), each position looking at itself and backwards."""
    attn = block.attn
    q, k, v = F.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (t.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for t in (q, k, v))  # (N, heads, L, d/heads)
    return attn.out_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
