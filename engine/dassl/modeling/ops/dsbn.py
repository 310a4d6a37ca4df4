"""Batch normalisation with statistics and scales of its own for each domain."""

from torch import nn


class _DSBN(nn.Module):
    """Base: several batch normalisations, of which one is in use at a time."""

    _norm = None

    def __init__(self, num_features, n_domain):
        super().__init__()
        self.num_features = num_features
        self.n_domain = n_domain
        self.bn = nn.ModuleList(self._norm(num_features) for _ in range(n_domain))
        self.domain_idx = 0

    def select_bn(self, domain_idx=0):
        """Use the normalisation of that domain from now on.

        Raises:
            IndexError: there is no such domain.
        """
        if not 0 <= domain_idx < self.n_domain:
            raise IndexError(f"domain_idx must be between 0 and {self.n_domain - 1}, but got {domain_idx}")
        self.domain_idx = domain_idx

    def forward(self, x):
        return self.bn[self.domain_idx](x)


class DSBN1d(_DSBN):
    """A ``BatchNorm1d`` for each domain: (B, C) or (B, C, L) -> the same shape.

    Source: Domain-Specific Batch Normalization for Unsupervised Domain Adaptation, CVPR 2019, section 4.

    Args:
        num_features (int): channels C.
        n_domain (int): number of domains.

    Attributes:
        domain_idx (int): the domain in use, at first 0.
    """

    _norm = nn.BatchNorm1d


class DSBN2d(_DSBN):
    """A ``BatchNorm2d`` for each domain: (B, C, H, W) -> the same shape; see :class:`DSBN1d`."""

    _norm = nn.BatchNorm2d
