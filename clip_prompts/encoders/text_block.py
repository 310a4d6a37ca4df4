"""One block of the text transformer on packed rows; written out with its gradient where steps are small."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from clip.model import LayerNorm, QuickGELU, ResidualAttentionBlock
from torch import Tensor
from torch.autograd.function import once_differentiable

from .blocks import NO_HOOK, QUICK, finish_block, queries_keys_values
from .linear import SMALL
from .prompt_set import Attention

_OPS = torch.ops.aten
_NORM_BACKWARD, _SILU_BACKWARD = _OPS.native_layer_norm_backward.default, _OPS.silu_backward.default
# What fused attention calls on a CPU. Private operators of PyTorch's: where they are missing, all steps take one way.
_NAME = "_scaled_dot_product_flash_attention_for_cpu"
_HAS_ATTENTION = hasattr(_OPS, _NAME) and hasattr(_OPS, f"{_NAME}_backward")
if _HAS_ATTENTION:
    _ATTENTION, _ATTENTION_BACKWARD = (getattr(_OPS, name).default for name in (_NAME, f"{_NAME}_backward"))


def text_block(
    block: ResidualAttentionBlock, x: Tensor, qkv: Tensor | None, at: Attention, ends: Tensor | None
) -> Tensor:
    """Rows x (B R, d) to rows of the same shape, or only to those of end-of-text (B C, d).

    Each row looks at the shared rows, and at its own prompt's rows up to itself. For that, whole prompts are gathered
    into blocks of n rows, the shared rows in front of each (see ``PromptSet``).

    Args:
        qkv: queries, keys and values (B R, 3 d), where they are known. ends: the rows that are wanted; None for all.
    """
    if _is_small(x) and (weights := _Weights.of(block)):
        return _SmallBlock.apply(x, qkv, weights, at, ends)
    q, k, v = _gathered(queries_keys_values(block, block.ln_1(x)) if qkv is None else qkv, at, block.attn.num_heads)
    seen = F.scaled_dot_product_attention(q, k, v, attn_mask=at.mask).transpose(1, 2).reshape(len(at.gather), -1)
    x = x if ends is None else x.index_select(0, ends)
    seen = seen.index_select(0, at.scatter if ends is None else at.scatter.index_select(0, ends))
    return finish_block(block, NO_HOOK, x, x, seen)


def _gathered(qkv: Tensor, at: Attention, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Packed rows (B R, 3 d) to queries, keys and values of attention's blocks, each (B N, h, n, d/h)."""
    blocks = qkv.index_select(0, at.gather).view(len(at.mask), at.mask.shape[-1], 3, heads, -1)
    q, k, v = blocks.unbind(2)
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def _is_small(x: Tensor) -> bool:
    """Whether x wants a gradient and is so small that PyTorch's graph of a block takes as long as its arithmetic."""
    wanted = x.requires_grad and torch.is_grad_enabled() and 4 * x.numel() * x.shape[-1] < SMALL
    possible = x.device.type == "cpu" and x.dtype == torch.float32 and _HAS_ATTENTION
    return wanted and possible and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


class _Weights(NamedTuple):
    """Of a block: norm, product, product, norm, product, product."""

    norm_1: tuple[Tensor, Tensor]
    qkv: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    norm_2: tuple[Tensor, Tensor]
    fc: tuple[Tensor, Tensor]
    proj: tuple[Tensor, Tensor]
    heads: int

    @classmethod
    def of(cls, block: ResidualAttentionBlock) -> "_Weights | None":
        """Returns None unless the block is CLIP's own, in float32, frozen, without hooks or parametrizations."""
        try:  # a module's own way to its parts, by attributes, takes half as long as a small product
            parts = block._modules
            attn, mlp, norms = parts["attn"], parts["mlp"]._modules, (parts["ln_1"], parts["ln_2"])
            modules = (norms[0], attn, attn._modules["out_proj"], norms[1], mlp["c_fc"], mlp["c_proj"])
            named = zip(modules, _NAMES, strict=True)
            pairs = [(module._parameters[weight], module._parameters[bias]) for module, (weight, bias) in named]
        except KeyError:
            return None
        listened = any(norm._forward_hooks or norm._forward_pre_hooks for norm in norms)
        if listened or any(type(norm) is not LayerNorm or norm.eps != _EPS for norm in norms):
            return None
        if type(mlp.get("gelu")) is not QuickGELU:
            return None
        if any(p.requires_grad or p.dtype != torch.float32 for pair in pairs for p in pair):
            return None
        return cls(*pairs, attn.num_heads)


_USUAL = ("weight", "bias")
_NAMES = (_USUAL, ("in_proj_weight", "in_proj_bias"), _USUAL, _USUAL, _USUAL, _USUAL)
_EPS = 1e-5  # of CLIP's norms


class _SmallBlock(torch.autograd.Function):
    """``text_block`` and its gradient as one node of the graph, which otherwise has twenty. Twice it has none."""

    @staticmethod
    def forward(ctx, x, qkv, weights, at, ends):
        first = ()
        if qkv is None:
            z, *first = _norm(x, weights.norm_1)
            qkv = torch.addmm(weights.qkv[1], z, weights.qkv[0].t())
        q, k, v = _gathered(qkv, at, weights.heads)
        seen, logsumexp = _ATTENTION(q, k, v, 0.0, False, attn_mask=at.mask)
        scatter = at.scatter if ends is None else at.scatter.index_select(0, ends)
        rows = seen.transpose(1, 2).reshape(len(at.gather), -1).index_select(0, scatter)
        y = x if ends is None else x.index_select(0, ends)
        y = torch.addmm(y + weights.out[1], rows, weights.out[0].t())
        z, *moments = _norm(y, weights.norm_2)
        hidden = torch.addmm(weights.fc[1], z, weights.fc[0].t(), beta=QUICK, alpha=QUICK)
        ctx.weights, ctx.at, ctx.ends = weights, at, ends
        ctx.save_for_backward(x, q, k, v, seen, logsumexp, scatter, y, *moments, hidden, *first)
        return torch.addmm(y + weights.proj[1], F.silu(hidden), weights.proj[0].t(), alpha=1 / QUICK)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, q, k, v, seen, logsumexp, scatter, y, mean, rstd, hidden, *first = ctx.saved_tensors
        weights, at, ends = ctx.weights, ctx.at, ctx.ends
        # The MLP: QuickGELU's two factors cancel.
        wide = _SILU_BACKWARD(gradient @ weights.proj[0], hidden)
        dy = _norm_backward(wide @ weights.fc[0], y, mean, rstd, weights.norm_2).add_(gradient)
        # Attention. Adding, since equal prompts share their end.
        rows = dy.new_zeros(len(at.gather), dy.shape[1]).index_add_(0, scatter, dy @ weights.out[0])
        d_seen = rows.view(*q.transpose(1, 2).shape).transpose(1, 2)
        parts = _ATTENTION_BACKWARD(d_seen, q, k, v, seen, logsumexp, 0.0, False, attn_mask=at.mask)
        blocks = torch.stack([part.transpose(1, 2) for part in parts], dim=2).view(len(at.gather), -1)
        d_qkv = blocks.new_zeros(len(x), blocks.shape[1]).index_add_(0, at.gather, blocks)
        dx = dy if ends is None else torch.zeros_like(x).index_add_(0, ends, dy)
        if not first:
            return dx, d_qkv, None, None, None
        return _norm_backward(d_qkv @ weights.qkv[0], x, *first, weights.norm_1).add_(dx), None, None, None, None


def _norm(x: Tensor, weights: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows x (R, d) to their norm, means and inverse deviations."""
    return torch.native_layer_norm(x, weights[0].shape, *weights, _EPS)


def _norm_backward(gradient: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    """Gradient of the rows x (R, d) from that of their norm."""
    only_x = [True, False, False]
    return _NORM_BACKWARD(gradient, x, weights[0].shape, mean, rstd, *weights, only_x)[0]
