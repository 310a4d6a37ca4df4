"""Batch normalisation for transfer from a source to a target domain."""

import torch
from torch import nn
from torch.nn import functional as F


class _TransNorm(nn.Module):
    """Base: normalises source and target with statistics of their own, and stresses the channels that transfer.

    Both share weight and bias. With ``adaptive_alpha`` channel j is multiplied by
    1 + alpha_j, where d_j = |mean_s / sqrt(var_s + eps) - mean_t / sqrt(var_t + eps)| and
    alpha_j = C (1 + d_j)^-1 / sum_k (1 + d_k)^-1, a constant to the gradient.
    """

    _dims = ()

    def __init__(self, num_features, eps=1e-5, momentum=0.1, adaptive_alpha=True):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.adaptive_alpha = adaptive_alpha
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        for domain in "st":
            self.register_buffer(f"running_mean_{domain}", torch.zeros(num_features))
            self.register_buffer(f"running_var_{domain}", torch.ones(num_features))

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, adaptive_alpha={self.adaptive_alpha}"

    def reset_running_stats(self):
        """Forget what was seen: means 0, variances 1."""
        for domain in "st":
            getattr(self, f"running_mean_{domain}").zero_()
            getattr(self, f"running_var_{domain}").fill_(1)

    def reset_parameters(self):
        """Also set the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        """Features -> features of the same shape, channels in dimension 1.

        Raises:
            ValueError: another number of dimensions, or in training a batch of odd size.
        """
        if x.dim() not in self._dims:
            raise ValueError(
                f"{type(self).__name__} needs {' or '.join(map(str, self._dims))} dimensions, "
                f"but got the shape {tuple(x.shape)}"
            )
        if not self.training:
            normed = self._normalize(x, "t")
            statistics = (self.running_mean_s, self.running_var_s, self.running_mean_t, self.running_var_t)
        else:
            if x.size(0) % 2:
                raise ValueError(
                    f"{type(self).__name__} needs as many source as target examples, but got a batch of {x.size(0)}"
                )
            source, target = x.chunk(2)
            normed = torch.cat([self._normalize(source, "s"), self._normalize(target, "t")])
            statistics = (*self._moments(source), *self._moments(target))
        if not self.adaptive_alpha:
            return normed
        alpha = self._alpha(*statistics)
        return (1 + alpha.view(1, -1, *[1] * (x.dim() - 2))) * normed

    def _normalize(self, x, domain):
        return F.batch_norm(
            x,
            getattr(self, f"running_mean_{domain}"),
            getattr(self, f"running_var_{domain}"),
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    @staticmethod
    def _moments(x):
        variance, mean = torch.var_mean(x.detach(), dim=[d for d in range(x.dim()) if d != 1])
        return mean, variance

    def _alpha(self, mean_s, var_s, mean_t, var_t):
        distance = (mean_s / (var_s + self.eps).sqrt() - mean_t / (var_t + self.eps).sqrt()).abs()
        closeness = 1 / (1 + distance)
        return self.num_features * closeness / closeness.sum()


class TransNorm1d(_TransNorm):
    """``BatchNorm1d`` for a source and a target domain: (B, C) or (B, C, L) -> the same shape.

    In training the first half of a batch is of the source and the second of the target; in evaluation
    all is of the target.

    Source: Transferable Normalization: Towards Improving Transferability of Deep Neural Networks,
    NeurIPS 2019, section 3 and algorithm 1.

    Args:
        num_features (int): channels C.
        eps (float): added to variances.
        momentum (float): share of the new batch in the running statistics.
        adaptive_alpha (bool): stress the channels whose statistics agree in both domains.
    """

    _dims = (2, 3)


class TransNorm2d(_TransNorm):
    """``BatchNorm2d`` for a source and a target domain: (B, C, H, W) -> the same shape; see :class:`TransNorm1d`."""

    _dims = (4,)
