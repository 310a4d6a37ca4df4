"""The parts of CLIP's transformer blocks that both encoders compute, with frozen weights in mind."""

import torch.nn.functional as F
from clip.model import ResidualAttentionBlock, Transformer
from torch import Tensor, nn

from .linear import linear


def queries_keys_values(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """What a block's attention works on: rows (..., d) to (..., 3 d)."""
    return linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)


def project(block: ResidualAttentionBlock, seen: Tensor) -> Tensor:
    """The output projection of a block's attention, rows (..., d) to (..., d)."""
    return linear(seen, block.attn.out_proj.weight, block.attn.out_proj.bias)


def mlp(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """The block's MLP with its norm, rows (..., d) to (..., d).

    CLIP's QuickGELU, x sigmoid(1.702 x), is silu(1.702 x) / 1.702: PyTorch's fused function keeps one tensor for the
    backward pass, where the formula as written keeps two. The factors ride on rows of width d, so that neither
    direction takes a pass of its own over the four times wider hidden rows.
    """
    fc, proj, factor = block.mlp.c_fc, block.mlp.c_proj, 1.702
    hidden = linear(block.ln_2(x) * factor, fc.weight, fc.bias * factor)
    return linear(F.silu(hidden), proj.weight) / factor + proj.bias


class FrozenBlock(ResidualAttentionBlock):
    """A block of an image encoder: same parameters, same result, fused attention, and ``linear`` for its products."""

    def forward(self, x: Tensor) -> Tensor:
        """Rows (L, B, d) of B images to rows of the same shape."""
        qkv = queries_keys_values(self, x).unflatten(-1, (3, self.attn.num_heads, -1))
        q, k, v = qkv.permute(2, 1, 3, 0, 4)  # each (B, h, L, d/h)
        return self._result(x, q, k, v)

    def _result(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = None if self.attn_mask is None else self.attn_mask.to(x)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + project(self, seen.permute(2, 0, 1, 3).flatten(2))
        return x + mlp(self, x)


class FrozenLastBlock(FrozenBlock):
    """The last block of an image encoder, of whose result only the row of the class token is read, and computed."""

    def forward(self, x: Tensor) -> Tensor:
        """Rows (L, B, d) of B images to the rows (1, B, d) of their class tokens."""
        rows, weight, bias, width = self.ln_1(x), self.attn.in_proj_weight, self.attn.in_proj_bias, x.shape[-1]
        heads = (self.attn.num_heads, -1)
        q = linear(rows[:1], weight[:width], bias[:width]).unflatten(-1, heads).permute(1, 2, 0, 3)  # (B, h, 1, d/h)
        kv = linear(rows, weight[width:], bias[width:]).unflatten(-1, (2, *heads))
        k, v = kv.permute(2, 1, 3, 0, 4)  # each (B, h, L, d/h)
        return self._result(x[:1], q, k, v)


def speed_up(image_encoder: nn.Module) -> None:
    """Let an image encoder's transformer compute as ``FrozenBlock`` and ``FrozenLastBlock`` do; ResNets stay.

    The modules keep their parameters, names and hooks; only what the blocks call changes.
    """
    for module in image_encoder.modules():
        if isinstance(module, Transformer):
            for block in module.resblocks:
                if type(block) is ResidualAttentionBlock:
                    is_last = block is module.resblocks[-1] and block.attn_mask is None
                    block.__class__ = FrozenLastBlock if is_last else FrozenBlock
