"""CLIP's transformer blocks as both encoders compute them, fast where weights are frozen."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from clip.model import QuickGELU, ResidualAttentionBlock
from torch import Tensor

from clip_prompts.common.errors import UserError

from .prompt_set import Layout

QUICK = 1.702  # of CLIP's QuickGELU, x sigmoid(1.702 x)
# PyTorch carries two libraries for matrix products. F.linear in float32 takes MKL, which does not use the wide vectors
# of processors that are not Intel's. oneDNN does, and is up to twice as fast there (docs/performance.md).
# This is a private operator of PyTorch's, which its compiler uses too. Builds without oneDNN do not have it.
_PRODUCT = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
# Without AVX-512 oneDNN wins forward only: backward it reads the weights across their rows, which costs more than it
# wins. The choice goes by the processor and the shape, and not by a timing: where both libraries take about the same
# time, two timings may disagree, and a resumed run must compute the numbers of one that was never stopped.
ONEDNN_BACKWARD = "AVX512" in torch.backends.cpu.get_cpu_capability()

SMALL = 8_000_000  # multiplications; below, calling oneDNN takes longer than it wins


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
    if read is None or 2 * read > x.shape[1] or hook is not NO_HOOK:
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


def text_block(
    block: ResidualAttentionBlock,
    x: Tensor,
    layout: Layout,
    hook: BlockHook = NO_HOOK,
    qkv: Tensor | None = None,
    read: Tensor | None = None,
) -> Tensor:
    """One block of the text encoder: packed rows (B R, d) to rows of the same shape.

    Each row sees the shared rows, and its own prompt's rows up to itself. Attention therefore runs on whole prompts,
    gathered into blocks of n rows (see ``Packing``).

    Args:
        qkv: queries, keys and values (B R, 3 d), if they are known; then there is no hook.
        read: the rows to compute (B C,), if the others are not read.
    """
    normed = x
    if qkv is None:
        normed = block.ln_1(x)
        qkv = hook.queries_keys_values(normed, queries_keys_values(block, normed))
    blocks = qkv.index_select(0, layout.gather).view(
        len(layout.mask), layout.mask.shape[-1], 3, block.attn.num_heads, -1
    )
    q, k, v = (part.transpose(1, 2) for part in blocks.unbind(2))  # each (B N, h, n, d/h)
    seen = (
        F.scaled_dot_product_attention(q, k, v, attn_mask=layout.mask).transpose(1, 2).reshape(len(layout.gather), -1)
    )
    scatter = layout.scatter
    if read is not None:
        x, scatter = x.index_select(0, read), scatter.index_select(0, read)
        normed = normed if hook is NO_HOOK else normed.index_select(0, read)
    return finish_block(block, hook, x, normed, seen.index_select(0, scatter))


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
                f"The {encoder} accepts {kind} at layers {first} to {layers - 1}, but got them for layer {wrong[0]}. "
                "Lower the prompt depth"
            )
    if replaced is not None and any(len(rows) != replaced for rows in deep.values()):
        raise ValueError(f"Deep rows replace the {replaced} appended rows, so there must be {replaced} per layer")
    if len({len(rows) for rows in inserted.values()}) > 1:
        raise ValueError("The number of inserted rows must be the same at all layers")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``: rows x (..., K), weight (N, K), bias (N,) to (..., N).

    oneDNN computes large products in float32 on a CPU if weight and bias need no gradient, backward only where it is
    faster (``ONEDNN_BACKWARD``). ``F.linear`` computes all others, also under autocast and in what ``torch.compile``
    compiles.
    """
    if _PRODUCT is None or not _is_for_onednn(x, weight, bias):
        return F.linear(x, weight, bias)
    if x.requires_grad and torch.is_grad_enabled():
        return _FrozenLinear.apply(x, weight, bias)
    return _PRODUCT(x, weight, bias, "none", [], "")


def add_linear(start: Tensor, x: Tensor, weight: Tensor, scale: float = 1.0) -> Tensor:
    """start (R, N) + scale x W^T, of rows x (R, K) and weight (N, K); one call where a library has one for it."""
    plain = start.dtype == x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled(x.device.type)
    if plain and not _is_for_onednn(x, weight, None):
        return torch.addmm(start, x, weight.t(), alpha=scale)
    product = linear(x, weight)
    return start + (product if scale == 1.0 else product * scale)


def _is_for_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    if _PRODUCT is None or torch.compiler.is_compiling() or x.numel() * len(weight) < SMALL:
        return False
    kinds = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    return kinds and not torch.is_autocast_enabled("cpu") and not (learns and torch.is_grad_enabled())


class _FrozenLinear(torch.autograd.Function):
    """y = x W^T + b, dL/dx = dL/dy W; W and b have no gradients."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(weight)
        return _PRODUCT(x, weight, bias, "none", [], "")

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        if not ONEDNN_BACKWARD:
            return gradient @ weight, None, None
        return _PRODUCT(gradient.contiguous(), weight.t(), None, "none", [], ""), None, None
