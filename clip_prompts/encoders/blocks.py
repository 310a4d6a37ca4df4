"""The parts of CLIP's transformer blocks that both encoders compute, with frozen weights in mind."""

from collections.abc import Mapping

import torch.nn.functional as F
from clip.model import QuickGELU, ResidualAttentionBlock
from torch import Tensor

from clip_prompts.common.errors import UserError

from .linear import add_linear, linear

QUICK = 1.702  # of CLIP's QuickGELU, x sigmoid(1.702 x)


class BlockHook:
    """Adds something inside one transformer block; this one adds nothing.

    Adapters and low-rank updates override what they need. All arguments are packed rows (R, d), of any number of
    prompts or images, so a hook works on each row alone. ``normed`` are the block's input rows after its first norm.
    The last block computes only the rows that are read, and ``after`` sees only these.
    """

    def queries_keys_values(self, normed: Tensor, qkv: Tensor) -> Tensor:
        """Return the rows (R, 3 d) that attention takes instead of ``qkv``, the projections of ``normed``."""
        return qkv

    def projection(self, seen: Tensor, x: Tensor) -> Tensor:
        """Return x (R, d), the input rows plus the output projection of what attention saw (``seen``)."""
        return x

    def after(self, normed: Tensor, x: Tensor) -> Tensor:
        """Return x (R, d), the block's result."""
        return x


NO_HOOK = BlockHook()


def queries_keys_values(block: ResidualAttentionBlock, normed: Tensor) -> Tensor:
    """Rows (R, d) after the block's first norm to queries, keys and values (R, 3 d)."""
    return linear(normed, block.attn.in_proj_weight, block.attn.in_proj_bias)


def finish_block(block: ResidualAttentionBlock, hook: BlockHook, x: Tensor, normed: Tensor, seen: Tensor) -> Tensor:
    """The rest of a block behind attention: rows x (R, d) and what they saw (R, d) to the block's result (R, d)."""
    out = block.attn.out_proj
    x = hook.projection(seen, add_linear(x + out.bias, seen, out.weight))
    return hook.after(normed, add_mlp(block, x))


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


def image_block(block: ResidualAttentionBlock, x: Tensor, hook: BlockHook = NO_HOOK, read: int | None = None) -> Tensor:
    """One block of an image encoder: rows (B, L, d) of B images to rows of the same shape.

    Args:
        read: number of leading rows per image to compute, if the others are not read: (B, read, d).
    """
    normed, heads = block.ln_1(x), (block.attn.num_heads, -1)
    if read is None or hook is not NO_HOOK:
        qkv = hook.queries_keys_values(normed.flatten(0, 1), queries_keys_values(block, normed.flatten(0, 1)))
        q, k, v = qkv.view(*x.shape[:2], 3, *heads).unbind(2)  # each (B, L, h, d/h)
        q = q[:, :read]
    else:
        weight, bias, width = block.attn.in_proj_weight, block.attn.in_proj_bias, x.shape[-1]
        q = linear(normed[:, :read], weight[:width], bias[:width]).unflatten(-1, heads)
        k, v = linear(normed, weight[width:], bias[width:]).unflatten(-1, (2, *heads)).unbind(2)
    seen = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    x, normed, seen = x[:, :read], normed[:, :read], seen.transpose(1, 2).flatten(2)
    return finish_block(block, hook, *(rows.flatten(0, 1) for rows in (x, normed, seen))).view(x.shape)


def check_layers(
    encoder: str,
    layers: int,
    replaced: int | None,
    deep: Mapping[int, Tensor],
    inserted: Mapping[int, Tensor],
    hooks: Mapping[int, BlockHook],
) -> None:
    """Check the layers and numbers of rows that an encoder is given.

    Args:
        encoder: its name, for messages. layers: its number of layers.
        replaced: number of rows that deep rows replace; None if any number will do.

    Raises:
        UserError: a layer that the encoder does not have.
        ValueError: another number of deep rows than there are to replace, or numbers of inserted rows that differ.
    """
    for kind, given, first in (("deep rows", deep, 1), ("inserted rows", inserted, 0), ("hooks", hooks, 0)):
        if wrong := [layer for layer in given if not first <= layer < layers]:
            raise UserError(
                f"The {encoder} takes {kind} at layers {first} to {layers - 1}, not at layer {wrong[0]}. "
                "Lower the prompt depth"
            )
    if replaced is not None and any(len(rows) != replaced for rows in deep.values()):
        raise ValueError(f"Deep rows replace the {replaced} appended rows, so there must be {replaced} per layer")
    if len({len(rows) for rows in inserted.values()}) > 1:
        raise ValueError("Inserted rows must be equally many at all layers")
