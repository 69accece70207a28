"""The rate: what a format and a keep rule really realise, and the exact test of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_formats import FLOATS
from harness.comparison.statistics.design import Outcome, binomial_p

# A uniform draw is k / 2**bits, k = 0 … 2**bits - 1. TensorFlow and JAX fill the mantissa of [1, 2) and subtract 1,
# which gives the format's explicit mantissa bits.
UNIFORM_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
KEEP_RULES = ("u >= rate", "u < keep", "floor(keep + u)")


def realised_rate(rate: float, dtype: str, rule: str, bits: int | None = None) -> float:
    """The exact probability that an element is dropped when a uniform draw of `dtype` decides by `rule`.

    rule: the formula for "kept", one of KEEP_RULES, evaluated in `dtype` with rate or 1 - rate rounded to it. bits: the
    resolution of the draw where it is not the mantissa's (24 for torch's float32 draws, 53 for its float64 ones). For
    example bfloat16 has 128 values, so rate 0.1 drops 13 of 128, 10.16 %.

    Raises ValueError for an unknown dtype or rule, or a rate outside [0, 1].
    """
    if dtype not in FLOATS or rule not in KEEP_RULES or not 0.0 <= rate <= 1.0:
        raise ValueError(f"no realised rate for rate {rate}, dtype {dtype!r}, rule {rule!r}")
    count = 1 << (UNIFORM_BITS[dtype] if bits is None else bits)
    scalar: Any = FLOATS[dtype].type
    bound = scalar(rate) if rule == "u >= rate" else scalar(1.0 - rate)

    def kept(k: int) -> bool:
        u = scalar(k / count)
        if rule == "u >= rate":
            return bool(u >= bound)
        if rule == "u < keep":
            return bool(u < bound)
        return bool(np.floor(bound + u) >= scalar(1.0))

    # "Kept" changes once along k: find the first k that differs from k = 0.
    low, high = 0, count
    start = kept(0)
    while high - low > 1:
        middle = (low + high) // 2
        if kept(middle) == start:
            low = middle
        else:
            high = middle
    return (count - high) / count if start else high / count


def rate_test(decisions: NDArray[Any], rate: float) -> Outcome:
    """Exact binomial test that elements are dropped with probability `rate` (the realised one).

    decisions: bool, True where kept, any shape, one element for each independent decision (shared axes of size 1).
    """
    kept = np.asarray(decisions, dtype=bool)
    draws = int(kept.size)
    dropped = draws - int(np.count_nonzero(kept))
    measured = dropped / draws if draws else float("nan")
    return Outcome("rate", measured, rate, binomial_p(dropped, draws, rate) if draws else 1.0, draws, "dropped share")
