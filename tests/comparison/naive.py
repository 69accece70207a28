"""A slow comparison, element by element in Python, that shares no code with the kernels: what they are tested against."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np

# name: (precision in bits, smallest exponent of a subnormal's last bit, number of finite magnitudes including zero)
LAYOUT = {
    "float16": (11, -24, 0x7C00),
    "bfloat16": (8, -133, 0x7F80),
    "float32": (24, -149, 0x7F800000),
    "float64": (53, -1074, 0x7FF0000000000000),
}
DTYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}


def place(value: float, name: str) -> int:
    """How many numbers of the format lie between 0 and `value`, rounded to nearest even; negative below 0."""
    precision, last, finite = LAYOUT[name]
    if math.isinf(value):
        return finite if value > 0 else -finite
    exact = abs(Fraction(value))
    if exact == 0:
        return 0
    exponent = max(math.frexp(abs(value))[1] - precision, last)
    steps = round(exact / Fraction(2) ** exponent)  # Python rounds half to even
    if steps == 2**precision:
        steps, exponent = steps // 2, exponent + 1
    count = steps + (exponent - last) * 2 ** (precision - 1)
    count = min(count, finite)
    return count if value > 0 else -count


def compare(actual: np.ndarray, expected: np.ndarray, limit: float, name: str) -> dict[str, object]:
    precision = LAYOUT[name][0]
    normal = 2 ** (precision - 1)  # the place of the smallest normal number
    found: dict[str, object] = dict.fromkeys(
        ("max_abs", "max_rel", "max_ulp", "mismatches", "nan_disagreements", "inf_disagreements", "zero_disagreements"),
        0,
    )
    found.update(max_abs_at=None, max_rel_at=None, max_ulp_at=None, first_mismatch=None)
    histogram: dict[int, int] = {}
    for index in np.ndindex(actual.shape):
        a, e = float(actual[index]), float(expected[index])
        if math.isnan(a) or math.isnan(e):
            agrees = math.isnan(a) and math.isnan(e)
            found["nan_disagreements"] += not agrees
            distance = 0 if agrees else None
        else:
            left, right = place(a, name), place(e, name)
            found["zero_disagreements"] += (abs(left) < normal) != (abs(right) < normal)
            if math.isinf(a) or math.isinf(e):
                agrees = a == e
                found["inf_disagreements"] += not agrees
                distance = 0 if agrees else None
            else:
                error = abs(a - e)
                agrees = error <= limit
                distance = abs(left - right)
                better = {"max_abs": error, "max_ulp": distance}
                if e != 0:
                    better["max_rel"] = error / abs(e)
                for key, value in better.items():
                    if value > found[key]:
                        found[key] = value
                        found[f"{key}_at"] = index
        if distance is not None:
            threshold = 0 if distance == 0 else 1 << (distance - 1).bit_length()
            histogram[threshold] = histogram.get(threshold, 0) + 1
        if not agrees:
            found["mismatches"] += 1
            if found["first_mismatch"] is None:
                found["first_mismatch"] = index
    found["ulp_histogram"] = tuple(sorted(histogram.items()))
    return found
