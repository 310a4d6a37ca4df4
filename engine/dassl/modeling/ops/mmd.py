"""Maximum mean discrepancy between two samples."""

from torch import nn
from torch.nn import functional as F

from dassl.metrics import euclidean_squared_distance
from dassl.utils import UnknownNameError

RBF_SIGMAS = (1, 5, 10)


def linear_kernel(x, y):
    """Return <x, y> for each pair of rows, (B1, B2)."""
    return x @ y.t()


def poly_kernel(x, y, alpha=1.0, c=2.0, d=2):
    """Return (alpha <x, y> + c)^d for each pair of rows, (B1, B2)."""
    return (alpha * linear_kernel(x, y) + c).pow(d)


def rbf_kernel(x, y, sigmas=RBF_SIGMAS):
    """Return the sum of exp(-|x - y|^2 / (2 sigma^2)) over the bandwidths for each pair of rows, (B1, B2)."""
    distances = euclidean_squared_distance(x, y)
    return sum((-distances / (2 * sigma**2)).exp() for sigma in sigmas)


_KERNELS = {"rbf": rbf_kernel, "linear": linear_kernel, "poly": poly_kernel}


def _mean_of_distinct_pairs(kernel):
    """Mean of a square matrix (B, B) without its diagonal."""
    size = kernel.size(0)
    return (kernel.sum() - kernel.diagonal().sum()) / (size * (size - 1))


class MaximumMeanDiscrepancy(nn.Module):
    """The unbiased estimate of the squared maximum mean discrepancy of two samples, a scalar.

    Its expectation is 0 for samples of one distribution, so it is sometimes slightly negative. Source: A
    Kernel Two-Sample Test, JMLR 2012, lemma 6; the mixture of RBF bandwidths follows Learning Transferable
    Features with Deep Adaptation Networks, ICML 2015.

    Args:
        kernel_type (str): ``rbf`` (sum over sigma 1, 5, 10), ``linear``, or ``poly``: (<x, y> + 2)^2.
        normalize (bool): scale each row to length 1 first.

    Raises:
        UnknownNameError: (a ValueError) another kernel.
    """

    def __init__(self, kernel_type="rbf", normalize=False):
        super().__init__()
        if kernel_type not in _KERNELS:
            raise UnknownNameError(f"Unknown kernel_type '{kernel_type}'. Known: {', '.join(_KERNELS)}")
        self.kernel_type = kernel_type
        self.normalize = normalize

    def forward(self, x, y):
        """Samples x (B1, D) and y (B2, D) -> scalar.

        Raises:
            ValueError: a sample has fewer than two rows.
        """
        if min(x.size(0), y.size(0)) < 2:
            raise ValueError(f"Each sample needs two rows or more, but they have {x.size(0)} and {y.size(0)}")
        if self.normalize:
            x, y = F.normalize(x, dim=1), F.normalize(y, dim=1)
        kernel = _KERNELS[self.kernel_type]
        within = _mean_of_distinct_pairs(kernel(x, x)) + _mean_of_distinct_pairs(kernel(y, y))
        return within - 2 * kernel(x, y).mean()
