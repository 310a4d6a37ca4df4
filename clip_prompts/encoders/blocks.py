"""The parts of CLIP's transformer blocks that both encoders compute, with frozen weights in mind."""

import torch.nn.functional as F
from clip.model import QuickGELU, ResidualAttentionBlock, Transformer
from torch import Tensor, nn

from .linear import add_linear, linear

QUICK = 1.702  # of CLIP's QuickGELU, x sigmoid(1.702 x)


def queries_keys_values(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """What a block's attention works on: rows (R, d) to (R, 3 d)."""
    return linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)


def add_projection(block: ResidualAttentionBlock, x: Tensor, seen: Tensor) -> Tensor:
    """Rows x (R, d) plus the output projection of what attention saw (R, d)."""
    out = block.attn.out_proj
    return add_linear(x + out.bias, seen, out.weight)


def add_mlp(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """Rows x (R, d) plus the block's MLP on their norm.

    With c = 1.702, QuickGELU is silu(c x) / c: PyTorch's fused function keeps one tensor for the
    backward pass, where the formula as written keeps two. The factors ride on rows of width d, so that neither
    direction takes a pass of its own over the four times wider hidden rows. Another activation is computed as it is.
    """
    fc, act, proj = block.mlp.c_fc, block.mlp.gelu, block.mlp.c_proj
    if type(act) is not QuickGELU:
        return add_linear(x + proj.bias, act(linear(block.ln_2(x), fc.weight, fc.bias)), proj.weight)
    hidden = linear(block.ln_2(x) * QUICK, fc.weight, fc.bias * QUICK)
    return add_linear(x + proj.bias, F.silu(hidden), proj.weight, 1 / QUICK)


class FrozenBlock(ResidualAttentionBlock):
    """A block of an image encoder: same parameters, same result, fused attention, and ``linear`` for its products."""

    def forward(self, x: Tensor) -> Tensor:
        """Rows (L, B, d) of B images to rows of the same shape."""
        rows = x.flatten(0, 1)
        qkv = queries_keys_values(self, rows).view(*x.shape[:2], 3, self.attn.num_heads, -1)
        q, k, v = qkv.permute(2, 1, 3, 0, 4)  # each (B, h, L, d/h)
        return self._result(rows, q, k, v).view(x.shape)

    def _result(self, rows: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = None if self.attn_mask is None else self.attn_mask.to(rows)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return add_mlp(self, add_projection(self, rows, seen.permute(2, 0, 1, 3).reshape(rows.shape)))


class FrozenLastBlock(FrozenBlock):
    """The last block of an image encoder, of whose result only the row of the class token is read, and computed."""

    def forward(self, x: Tensor) -> Tensor:
        """Rows (L, B, d) of B images to the rows (1, B, d) of their class tokens."""
        rows, weight, bias, width = self.ln_1(x), self.attn.in_proj_weight, self.attn.in_proj_bias, x.shape[-1]
        heads = (self.attn.num_heads, -1)
        q = linear(rows[:1], weight[:width], bias[:width]).unflatten(-1, heads).permute(1, 2, 0, 3)  # (B, h, 1, d/h)
        kv = linear(rows, weight[width:], bias[width:]).unflatten(-1, (2, *heads))
        k, v = kv.permute(2, 1, 3, 0, 4)  # each (B, h, L, d/h)
        return self._result(x[0], q, k, v).unsqueeze(0)


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
