"""The distribution functions equal those of scipy.stats, far into the tails, and do not import it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from harness.comparison.statistics.distributions import (
    binomial_lower,
    binomial_upper,
    chi_square_lower,
    chi_square_upper,
    hypergeometric_tails,
    normal_cdf,
    normal_quantile,
    normal_upper,
)


@pytest.mark.parametrize("draws", [1, 7, 1000, 10_000_000])
@pytest.mark.parametrize("probability", [0.0, 1e-6, 0.1, 0.5, 0.999, 1.0])
def test_binomial_tails(draws: int, probability: float) -> None:
    spread = np.sqrt(draws * probability * (1 - probability))
    counts = np.unique(np.clip(np.round(draws * probability + spread * np.arange(-12, 13)), -1, draws + 1))
    counts = np.union1d(counts, [-1, 0, draws, draws + 1])
    assert binomial_lower(counts, draws, probability) == pytest.approx(
        stats.binom.cdf(counts, draws, probability), rel=1e-6, abs=1e-250
    )
    assert binomial_upper(counts, draws, probability) == pytest.approx(
        stats.binom.sf(counts - 1, draws, probability), rel=1e-6, abs=1e-250
    )


@pytest.mark.parametrize(
    ("total", "marked", "taken"), [(1, 1, 1), (10, 3, 4), (60, 40, 30), (5000, 12, 4000), (10**6, 3 * 10**5, 5 * 10**5)]
)
def test_hypergeometric_tails(total: int, marked: int, taken: int) -> None:
    mean = taken * marked / total
    low, high = max(0, taken + marked - total), min(taken, marked)
    for count in {low, high, *(int(np.clip(mean + k, low, high)) for k in (-2000, -100, -5, 0, 3, 100, 2000))}:
        lower, upper = hypergeometric_tails(count, total, marked, taken)
        assert lower == pytest.approx(stats.hypergeom.cdf(count, total, marked, taken), rel=1e-5, abs=1e-250)
        assert upper == pytest.approx(stats.hypergeom.sf(count - 1, total, marked, taken), rel=1e-5, abs=1e-250)


def test_hypergeometric_with_an_empty_margin() -> None:
    assert hypergeometric_tails(0, 10, 0, 4) == pytest.approx((1.0, 1.0))
    assert hypergeometric_tails(4, 10, 10, 4) == pytest.approx((1.0, 1.0))


def test_normal_and_chi_square() -> None:
    for z in (-5.0, 0.0, 3.0, 30.0):
        assert normal_upper(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)
        assert normal_cdf(np.array([z]))[0] == pytest.approx(stats.norm.cdf(z), rel=1e-9)
    for level in (0.5, 1e-3, 1e-12):
        assert normal_quantile(level) == pytest.approx(stats.norm.isf(level), rel=1e-9, abs=1e-12)
    for value, freedom in ((1.0, 1), (30.0, 4), (500.0, 20), (90_000.0, 100_000)):
        assert chi_square_upper(value, freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-8)
        assert chi_square_lower(value, freedom) == pytest.approx(stats.chi2.cdf(value, freedom), rel=1e-8)


def test_scipy_stats_stays_out() -> None:
    code = (
        "import sys\n"
        "from harness.comparison.statistics import design, rates, frequencies, dependence, normal, families, sharing\n"
        "assert 'scipy.stats' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
