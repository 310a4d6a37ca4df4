"""Linear layers of a frozen model, on the CPU through oneDNN.

PyTorch carries two libraries for matrix products. ``F.linear`` in float32 takes MKL, which does not use the wide
vectors of processors that are not Intel's; oneDNN does, and is up to twice as fast there (``docs/performance.md``).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# A private operator of PyTorch's, which its compiler uses too. Builds without oneDNN do not have it.
_PRODUCT = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None

SMALL = 8_000_000  # multiplications; below, calling oneDNN takes longer than it wins


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``: rows x (..., K), weight (N, K), bias (N,) to (..., N).

    In float32 on a CPU, with a weight and bias that need no gradient, oneDNN computes what is not small, forward and
    backward; otherwise ``F.linear`` does, also under autocast and in what ``torch.compile`` compiles.
    """
    if not _is_for_onednn(x, weight, bias):
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
    if _PRODUCT is None or x.numel() * len(weight) < SMALL:
        return False
    kinds = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    elsewhere = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
    return kinds and not elsewhere and not (learns and torch.is_grad_enabled())


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
        return _PRODUCT(gradient.contiguous(), weight.t(), None, "none", [], ""), None, None
