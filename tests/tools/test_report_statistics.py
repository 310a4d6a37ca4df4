"""Statistics of the report against NumPy and SciPy."""

import numpy as np
import pytest
from scipy import stats

from clip_prompts.report.numbers import Number, harmonic
from clip_prompts.report.statistics import paired_difference, spread

VALUES = [91.81, 92.01, 92.17]


def test_spreads():
    assert spread(VALUES, "std") == pytest.approx(np.std(VALUES))
    assert spread(VALUES, "sample-std") == pytest.approx(np.std(VALUES, ddof=1))
    low, high = stats.t.interval(0.95, 2, np.mean(VALUES), stats.sem(VALUES))
    assert spread(VALUES, "ci95") == pytest.approx((high - low) / 2)
    assert spread(VALUES[:1], "std") is None


def test_paired_difference():
    other = [91.0, 91.5, 92.5]
    mean, half = paired_difference(VALUES, other)
    interval = stats.ttest_rel(VALUES, other).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((interval.low, interval.high))


def test_harmonic_mean():
    base, new, none = (Number(mean, {1: mean}) for mean in (80.47, 71.69, 0.0))
    assert round(harmonic(base, new).mean, 2) == 75.83
    assert harmonic(none, none).mean == harmonic(base, none).mean == 0.0
