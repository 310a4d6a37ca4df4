"""The gradient reversal layer."""

import torch
from torch import nn


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scaling):
        ctx.scaling = scaling
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.scaling * gradient, None


class ReverseGrad(nn.Module):
    """The identity, whose gradient is multiplied by -grad_scaling.

    Source: Domain-Adversarial Training of Neural Networks, JMLR 2016, section 4.2.
    """

    def forward(self, x, grad_scaling=1.0):
        """Return x, of any shape.

        Raises:
            AssertionError: grad_scaling is negative.
        """
        if not grad_scaling >= 0:
            raise AssertionError(f"grad_scaling must not be negative, but got {grad_scaling}")
        return _Reverse.apply(x, grad_scaling)
