"""Mean, spread over seeds, paired differences."""

import math
import statistics
from collections.abc import Sequence

SPREADS = {
    "std": "population standard deviation",
    "sample-std": "sample standard deviation",
    "ci95": "95 % t-interval",
}


def half_width(values: Sequence[float]) -> float | None:
    """Returns half the 95 % t-interval of the mean: t(0.975, n - 1) s / sqrt(n); None below n = 2."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit  # quantile of Student's t; scipy.stats takes a second to import

    n = len(values)
    return float(stdtrit(n - 1, 0.975)) * statistics.stdev(values) / math.sqrt(n)


def spread(values: Sequence[float], kind: str = "std") -> float | None:
    """Returns the number after the ±, of one of the ``SPREADS``; None if it is not defined (n = 1)."""
    if len(values) < 2:
        return None
    if kind == "ci95":
        return half_width(values)
    return statistics.pstdev(values) if kind == "std" else statistics.stdev(values)


def paired_difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, float | None]:
    """Returns the mean of a - b over pairs, and half of its 95 % t-interval (None for a single pair)."""
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return statistics.mean(differences), half_width(differences)
