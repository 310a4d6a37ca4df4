"""Distances of two samples through entropic optimal transport."""

import torch
from torch import nn

from dassl.metrics import cosine_distance, euclidean_squared_distance
from dassl.utils import UnknownNameError

# The iteration stops when a step changes the potentials by less in total.
_TOLERANCE = 1e-3


def _pairwise_euclidean(x, y):
    """|a - b|^2 by differences: exact where the expanded square loses digits, at the cost of (B1, B2, D) memory."""
    return (x[:, None] - y[None]).square().sum(dim=2)


_COSTS = {"cosine": cosine_distance, "euclidean": euclidean_squared_distance, "fast_euclidean": _pairwise_euclidean}


def sinkhorn_plan(cost, eps, max_iter):
    """Return the transport plan between uniform masses that Sinkhorn's iteration gives.

    The iteration runs on the dual potentials in the log domain (Computational Optimal Transport, 2019,
    section 4.4).

    Args:
        cost (Tensor): (B1, B2).
        eps (float): weight of the entropy.
        max_iter (int): most rounds; it stops earlier when it has converged.

    Returns:
        Tensor: (B1, B2), with a sum of 1.
    """
    rows, columns = cost.shape
    log_mu = -torch.log(cost.new_tensor(rows))
    log_nu = -torch.log(cost.new_tensor(columns))
    u, v = cost.new_zeros(rows, 1), cost.new_zeros(1, columns)
    for _ in range(max_iter):
        previous = u
        u = eps * (log_mu - ((v - cost) / eps).logsumexp(dim=1, keepdim=True))
        v = eps * (log_nu - ((u - cost) / eps).logsumexp(dim=0, keepdim=True))
        if (u - previous).abs().sum() < _TOLERANCE:
            break
    return ((u + v - cost) / eps).exp()


class TransportCost(nn.Module):
    """Base: the cost W(x, y) of moving one sample onto another.

    Args:
        dist_metric (str): cost of moving one row onto another: ``cosine``, ``euclidean`` (squared), or
            ``fast_euclidean``, the same by explicit differences.
        eps (float): weight of the entropy.
        max_iter (int): most rounds of Sinkhorn's iteration.
        bp_to_sinkhorn (bool): let the gradient flow through the transport plan too.

    Raises:
        UnknownNameError: (a ValueError) another metric.
    """

    def __init__(self, dist_metric="cosine", eps=0.01, max_iter=5, bp_to_sinkhorn=False):
        super().__init__()
        if dist_metric not in _COSTS:
            raise UnknownNameError(f"Unknown dist_metric '{dist_metric}'. Known: {', '.join(_COSTS)}")
        self.dist_metric = dist_metric
        self.eps = eps
        self.max_iter = max_iter
        self.bp_to_sinkhorn = bp_to_sinkhorn

    def transport_cost(self, x, y):
        """Return W(x, y) of samples (B1, D) and (B2, D), a scalar."""
        cost = _COSTS[self.dist_metric](x, y)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.bp_to_sinkhorn):
            plan = sinkhorn_plan(cost, self.eps, self.max_iter)
        return (plan * cost).sum()


class SinkhornDivergence(TransportCost):
    """2 W(x, y) - W(x, x) - W(y, y), zero for equal samples.

    Source: Learning Generative Models with Sinkhorn Divergences, AISTATS 2018.
    Arguments: those of the transport cost W, :class:`TransportCost`.
    """

    def forward(self, x, y):
        """Samples x (B1, D) and y (B2, D) -> scalar."""
        return 2 * self.transport_cost(x, y) - self.transport_cost(x, x) - self.transport_cost(y, y)


class MinibatchEnergyDistance(TransportCost):
    """W(x, y) + W(x, y') + W(x', y) + W(x', y') - 2 W(x, x') - 2 W(y, y') of the halves of two samples.

    Source: Improving GANs Using Optimal Transport, ICLR 2018, section 3.
    Arguments: those of the transport cost W, :class:`TransportCost`.
    """

    def forward(self, x, y):
        """Samples x (B1, D) and y (B2, D) -> scalar. If the number of rows is odd, the last row is skipped.

        Raises:
            ValueError: a sample has fewer than two rows.
        """
        if min(x.size(0), y.size(0)) < 2:
            raise ValueError(f"Each sample needs two rows or more, but they have {x.size(0)} and {y.size(0)}")
        x1, x2 = x.split(x.size(0) // 2)[:2]
        y1, y2 = y.split(y.size(0) // 2)[:2]
        between = sum(self.transport_cost(a, b) for a in (x1, x2) for b in (y1, y2))
        return between - 2 * self.transport_cost(x1, x2) - 2 * self.transport_cost(y1, y2)
