"""Which rounding rule scaled the survivors: `x / keep`, `x * (1 / keep)`, a reciprocal through float32, and wrong ones.

All of the right rules mean the same and differ by one ULP. Which one a framework uses is part of its identity:
TensorFlow 1 divides; TensorFlow 2 and torch multiply by a rounded reciprocal; XLA multiplies by a reciprocal taken in
float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_formats import FLOATS, SMALLEST_NORMAL, ordered, rounded

F32 = np.float32
Array = NDArray[Any]
Rule = Callable[[Array, float], Array]


def _d(value: Any, like: Array) -> Any:
    """A Python float rounded once to the dtype of `like`."""
    return rounded(np.asarray(value, dtype=np.float64), like.dtype)[()]


def _rate(keep: float) -> float:
    """The rate as a person wrote it: 0.3 for keep 0.7, where 1 - 0.7 is 0.30000000000000004."""
    short = float(f"{1.0 - keep:.12g}")
    return short if 1.0 - short == keep else 1.0 - keep


def _reciprocal_in_dtype(x: Array, keep: float) -> Array:
    reciprocal: Any = np.ones((), x.dtype) / np.asarray(_d(keep, x))
    scaled: Array = x * reciprocal
    return scaled


def _keep_in_dtype(x: Array, keep: float) -> Any:
    """1 - rate taken in the dtype, where the rate is what was rounded: at rate 0.9 it is not the rounded 0.1."""
    difference: Any = np.ones((), x.dtype) - np.asarray(_d(_rate(keep), x))
    return difference


def _in_float32(x: Array, keep: float, *, divide: bool) -> Array:
    """Scale in float32 and round to the dtype once, as XLA and fused kernels do for the half formats."""
    wide = x.astype(F32)
    return rounded(wide / F32(keep) if divide else wide * F32(1.0 / keep), x.dtype)


HALF = ("float16", "bfloat16")
#: Elements that are looked at together.
CHUNK = 1 << 12
# name: (meaning, rule). The right rules come first, so that a tie reads as the right one.
RULES: dict[str, tuple[str, Rule]] = {
    "x / d(keep)": ("inverted", lambda x, keep: x / _d(keep, x)),
    "x * d(1 / keep)": ("inverted", lambda x, keep: x * _d(1.0 / keep, x)),
    "x * d(1 / f32(keep))": ("inverted", lambda x, keep: x * _d(1.0 / float(F32(keep)), x)),
    "x * f32(1 / f32(keep))": ("inverted", lambda x, keep: x * _d(float(F32(1.0) / F32(keep)), x)),
    "x * d(1 / d(keep))": ("inverted", _reciprocal_in_dtype),
    "x / d(f32(keep))": ("inverted", lambda x, keep: x / _d(float(F32(keep)), x)),
    "x / (1 - d(rate))": ("inverted", lambda x, keep: x / _keep_in_dtype(x, keep)),
    "x * (1 / (1 - d(rate)))": ("inverted", lambda x, keep: x * (np.ones((), x.dtype) / _keep_in_dtype(x, keep))),
    "d(f32(x) / f32(keep))": ("inverted", lambda x, keep: _in_float32(x, keep, divide=True)),
    "d(f32(x) * f32(1 / keep))": ("inverted", lambda x, keep: _in_float32(x, keep, divide=False)),
    "x / keep in float32": ("float32 for float64", lambda x, keep: _in_float32(x, keep, divide=True)),
    "x * (1 / keep) in float32": ("float32 for float64", lambda x, keep: _in_float32(x, keep, divide=False)),
    "x": ("none", lambda x, keep: x),
    "x / d(keep) / d(keep)": ("twice", lambda x, keep: x / _d(keep, x) / _d(keep, x)),
    "x * d(1 / keep) * d(1 / keep)": ("twice", lambda x, keep: x * _d(1.0 / keep, x) * _d(1.0 / keep, x)),
    "x / d(rate)": ("rate taken for keep", lambda x, keep: x / _d(_rate(keep), x)),
    "x * d(1 / rate)": ("rate taken for keep", lambda x, keep: x * _d(1.0 / _rate(keep), x)),
    "x * d(keep)": ("multiplied by keep", lambda x, keep: x * _d(keep, x)),
    "x * d(rate)": ("multiplied by rate", lambda x, keep: x * _d(_rate(keep), x)),
}


def _applies(name: str, dtype: str, keep: float) -> bool:
    """Whether a rule says something of its own: a detour through float32 is no detour in float32 itself."""
    if name.startswith("d(f32(x)"):
        return dtype in HALF
    if name.endswith("in float32"):
        return dtype == "float64"
    return keep < 1.0 or "rate" not in name


@dataclass(frozen=True)
class Scaling:
    """What the survivors' scale is.

    rules: the names of all rules that give every y bit for bit; meanings: theirs, without repeats, in the same order.
    Where keep is a power of two all right rules coincide, and at keep 0.5 so does "rate taken for keep".
    nearest, nearest_ulp: the rule with the smallest largest distance, and that distance in ULPs of the dtype.
    ratio, ratio_min, ratio_max: y / x in float64: median, least and greatest; NaN where nothing is informative.
    survivors: how many pairs were given; informative: how many had a finite x other than 0; flushed: how many of the y
    are a zero where the rule gives, or x is, a subnormal number: XLA and TensorFlow flush those, and that counts as a
    fit. distances: the largest distance in ULPs by rule, of every rule that says something of its own.
    """

    rules: tuple[str, ...]
    meanings: tuple[str, ...]
    nearest: str
    nearest_ulp: int
    ratio: float
    ratio_min: float
    ratio_max: float
    survivors: int
    informative: int
    flushed: int
    distances: dict[str, int] = field(default_factory=dict)


def scaling(x: Array, y: Array, keep: float, dtype: str | None = None) -> Scaling:
    """Tell which rule gives `y` from `x`, both holding only elements that the mask kept; any one shape, one float
    dtype.

    keep: the keep probability, 0 < keep <= 1. dtype: the name of the format, checked against the arrays where it is
    given. With nothing informative (no survivor, or all zero) no rule is named: nothing was measured.

    Raises ValueError for other dtypes, shapes that differ, or a keep outside (0, 1].
    """
    x, y = np.asarray(x).reshape(-1), np.asarray(y).reshape(-1)
    if x.dtype != y.dtype or x.dtype.name not in FLOATS or dtype not in (None, x.dtype.name):
        raise ValueError(f"x is {x.dtype}, y is {y.dtype}, wanted {dtype or 'one float format'}")
    if x.shape != y.shape or not 0.0 < keep <= 1.0:
        raise ValueError(f"{x.size} inputs, {y.size} outputs, keep {keep}")
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    informative = np.isfinite(wide_x) & (wide_x != 0.0)
    if not informative.any():
        return Scaling((), (), "", 0, np.nan, np.nan, np.nan, x.size, 0, 0)
    with np.errstate(all="ignore"):
        distances, flushed = _distances(x, y, keep)
        ratio = wide_y[informative] / wide_x[informative]
    rules = tuple(name for name, distance in distances.items() if distance == 0)
    nearest = min(distances, key=lambda name: distances[name])
    return Scaling(
        rules,
        tuple(dict.fromkeys(RULES[name][0] for name in rules)),
        nearest,
        distances[nearest],
        float(np.median(ratio)),
        float(ratio.min()),
        float(ratio.max()),
        x.size,
        int(informative.sum()),
        flushed[nearest],
        distances,
    )


def _distances(x: Array, y: Array, keep: float) -> tuple[dict[str, int], dict[str, int]]:
    """By rule: the largest distance in ULPs between `y` and what it predicts, and how many flushed elements it passes over."""
    names = [name for name in RULES if _applies(name, x.dtype.name, keep)]
    largest, flushed = np.zeros(len(names), np.uint64), np.zeros(len(names), np.int64)
    # All rules of a chunk at once: few calls where arrays are small, and no more than the cache holds where they are large.
    for start in range(0, x.size, CHUNK):
        part, given = x[start : start + CHUNK], y[start : start + CHUNK]
        predicted = np.stack([RULES[name][1](part, keep) for name in names])
        distance, passed = _chunk(part, given, predicted)
        np.maximum(largest, distance.max(axis=1), out=largest)
        flushed += np.count_nonzero(passed, axis=1)
    return dict(zip(names, largest.tolist(), strict=True)), dict(zip(names, flushed.tolist(), strict=True))


def _chunk(x: Array, y: Array, predicted: Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The distances (R, n) between y (n,) and R predictions, and which elements were flushed to zero."""
    tiny = SMALLEST_NORMAL[x.dtype.name]
    wide = x.astype(np.float64)
    zero = (y.astype(np.float64) == 0.0) & (wide != 0.0)
    flushed = ((np.abs(predicted.astype(np.float64)) < tiny) | (np.abs(wide) < tiny)) & zero
    agree = flushed | (np.isnan(y) & np.isnan(predicted))
    left, right = ordered(np.ascontiguousarray(y)), ordered(np.ascontiguousarray(predicted.astype(y.dtype)))
    distance = np.where(left > right, left - right, right - left).view(np.uint64)
    return np.where(agree, np.uint64(0), distance), flushed
