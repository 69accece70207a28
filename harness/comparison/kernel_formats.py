"""Floating formats as ordered integers, so that a distance in ULPs is a difference of integers.

The bits of an IEEE 754 number, read as sign and magnitude, count the representable numbers from zero upwards (Dawson,
"Comparing Floating Point Numbers", 2012; Goldberg 1991, section 1.2). +0 and -0 both get 0.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = {
    "float16": np.dtype(np.float16),
    "bfloat16": BFLOAT16,
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
# The dtypes that hold every value of the first one.
JUDGES = {
    "float16": ("float16", "float32", "float64"),
    "bfloat16": ("bfloat16", "float32", "float64"),
    "float32": ("float32", "float64"),
    "float64": ("float64",),
}
SMALLEST_NORMAL = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
# The bits of the smallest normal number; the bits of anything smaller, without the sign, are a smaller integer.
NORMAL_BITS = {"float16": 1 << 10, "bfloat16": 1 << 7, "float32": 1 << 23, "float64": 1 << 52}
SIGNED: dict[int, np.dtype[Any]] = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def ordered(values: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each float among the numbers of its format, counted from zero; any shape, the same shape back."""
    width = values.dtype.itemsize
    bits = values.view(SIGNED[width]).astype(np.int64)
    lowest = -(1 << (8 * width - 1))
    places: NDArray[np.int64] = np.where(bits < 0, lowest - bits, bits)
    return places


def rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` rounded to nearest, ties to even, in `dtype`, once (ml_dtypes rounds float64 to bfloat16 twice)."""
    if values.dtype == dtype:
        return values
    with np.errstate(all="ignore"):
        if dtype == BFLOAT16 and values.dtype == np.float64:
            values = _to_odd(values)
        return values.astype(dtype)


def _to_odd(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """float64 to float32 with inexact results made odd, after which a second rounding gives what one would have given.

    Boldo and Melquiond, "When double rounding is odd", 2005.
    """
    nearest = values.astype(np.float32)
    bits = nearest.view(np.uint32)
    inexact = (nearest != values) & ~np.isnan(values)
    away = inexact & (np.abs(nearest).astype(np.float64) > np.abs(values))
    odd: NDArray[np.uint32] = (bits - away.astype(np.uint32)) | inexact.astype(np.uint32)
    values_odd: NDArray[np.float32] = odd.view(np.float32)
    return values_odd
