"""Scalars in the dtypes that frameworks draw in, and the keep rules as thresholds on levels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from harness.errors import UserError, did_you_mean
from harness.streams.sources import threshold

TYPES: dict[str, Callable[[Any], Any]] = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}


def scalar(dtype: str) -> Callable[[Any], Any]:
    """Return the scalar type of a dtype name; raises UserError for another name."""
    if dtype not in TYPES:
        raise UserError(f"unknown dtype {dtype!r}{did_you_mean(dtype, TYPES)}: one of {', '.join(TYPES)}")
    return TYPES[dtype]


def at_least(bits: int, dtype: str, value: float) -> int:
    """Return the least level with u >= dtype(value), u = level / 2**bits being exact in dtype."""
    bound: int = math.ceil(float(scalar(dtype)(value)) * 2**bits)
    return min(max(bound, 0), 1 << bits)


def floor_of_sum(bits: int, dtype: str, keep: float) -> int:
    """Return the least level with floor(dtype(keep) + u) == 1, the sum being rounded in dtype (TensorFlow 1)."""
    kind = scalar(dtype)
    # keep_prob passes through float32 on its way to every dtype.
    addend = kind(np.float32(keep))
    return threshold(bits, lambda level: bool(kind(addend + kind(level * 2.0**-bits)) >= kind(1)))
