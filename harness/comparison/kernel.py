"""Two arrays compared in one pass over memory: largest errors and their places, ULPs, mismatches, NaN, zeros, digest.

`compare_arrays` checks structure before values. Chunks stay in the cache, so no temporary array grows with the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_digest import Digest
from harness.comparison.kernel_engine import scan
from harness.comparison.kernel_formats import JUDGES
from harness.comparison.kernel_numpy import Limit, Scanned

Index = tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """How `actual` differs from `expected`, both of one shape.

    problem: why the arrays could not be compared (shape, dtype), else None; then every other field is empty.
    compared: the number of elements compared. 0 is never a pass.
    max_abs, max_rel: the largest |a - e|, and the largest |a - e| / |e| where e is not 0, over elements finite on both
    sides; ``*_at`` is the index of the first element that has it, None where the maximum is 0. A 0-d array has index
    (). max_ulp: the largest distance in units in the last place of the dtype of `actual`, from `expected` rounded to
    that dtype. ulp_histogram: pairs (t, count): elements at most t ULPs apart and more than t / 2; t = 0, 1, 2, 4, 8,
    …, without the empty ones.
    Elements with a NaN or infinity on both sides that agree count as 0 apart, those that disagree are left out of it.
    mismatches, first_mismatch: elements beyond the limit, or not finite and disagreeing; index of the first in C order.
    nan_disagreements: NaN on one side only. inf_disagreements: an infinity against anything but the same infinity or a
    NaN. zero_disagreements: zero on one side only, `expected` being rounded first; subnormal numbers count as zero,
    because some systems flush them.
    digest: of the bytes of `actual` with its dtype and shape; "" where not asked for.
    """

    problem: str | None
    compared: int = 0
    max_abs: float = 0.0
    max_abs_at: Index | None = None
    max_rel: float = 0.0
    max_rel_at: Index | None = None
    max_ulp: int = 0
    max_ulp_at: Index | None = None
    ulp_histogram: tuple[tuple[int, int], ...] = ()
    mismatches: int = 0
    first_mismatch: Index | None = None
    nan_disagreements: int = 0
    inf_disagreements: int = 0
    zero_disagreements: int = 0
    digest: str = ""

    @property
    def agrees(self) -> bool:
        """True when something was compared and every element lies within the limit."""
        return self.problem is None and self.compared > 0 and self.mismatches == 0


def compare_arrays(
    actual: NDArray[Any],
    expected: NDArray[Any],
    limit: float | NDArray[Any],
    *,
    dtype: str | None = None,
    with_digest: bool = True,
    engine: str = "auto",
) -> Comparison:
    """Compare `actual` with `expected`, element by element, against the absolute `limit`.

    actual: float16, bfloat16 (ml_dtypes), float32, float64, bool or an integer dtype. expected: the same shape; for a
    float `actual` its dtype or a wider one (a float64 reference judges them all). limit: one number, or an array of the
    same shape. dtype: the name of the dtype that `actual` must have, where the caller knows it. engine: `numpy`,
    `numba`, or `auto`, which starts Numba, where it is installed, once the arrays are large enough to pay for that;
    results are the same.

    An element agrees when ``|a - e| <= limit``, or both are NaN, or both are the same infinity. Raises ValueError for a
    limit that is negative, NaN or infinite, because nothing could fail it, or whose shape is another one.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    name = _name(actual.dtype)
    problem = _problem(actual, expected, name, dtype)
    bound = _limit(limit, actual.shape)
    if problem is not None:
        return Comparison(problem)
    mark = Digest(name, actual.shape, actual.nbytes) if with_digest else None
    if actual.size == 0:
        return Comparison(None, digest=mark.hexdigest() if mark else "")
    total = scan(actual.reshape(-1), expected.reshape(-1), bound, name, mark, engine)
    return _comparison(total, actual.shape, mark.hexdigest() if mark else "")


def _name(dtype: np.dtype[Any]) -> str:
    return dtype.newbyteorder("=").name


def _problem(actual: NDArray[Any], expected: NDArray[Any], name: str, wanted: str | None) -> str | None:
    if actual.shape != expected.shape:
        return f"shape: got {actual.shape}, expected {expected.shape}"
    other = _name(expected.dtype)
    if wanted is not None and name != wanted:
        return f"dtype: got {name}, expected {wanted}"
    if name in JUDGES:
        known = other in JUDGES[name]
    elif name == "bool":
        known = other == "bool"
    else:
        known = actual.dtype.kind in "iu" and expected.dtype.kind in "iu" and "uint64" not in (name, other)
    return None if known else f"dtype: got {name}, which {other} cannot judge"


def _limit(limit: float | NDArray[Any], shape: Index) -> Limit:
    bound = np.asarray(limit, dtype=np.float64)
    if bound.ndim and bound.shape != shape:
        raise ValueError(f"limit has shape {bound.shape}, the arrays have {shape}")
    if not (np.isfinite(bound).all() and (bound >= 0.0).all()):
        raise ValueError("a limit must be finite and not negative")
    return bound.reshape(-1) if bound.ndim else float(bound)


def _comparison(total: Scanned, shape: Index, mark: str) -> Comparison:
    def index(flat: int) -> Index | None:
        return None if flat < 0 else tuple(int(i) for i in np.unravel_index(flat, shape))

    thresholds = [0] + [1 << k for k in range(65)]
    return Comparison(
        problem=None,
        compared=int(np.prod(shape, dtype=np.int64)),
        max_abs=total.max_abs,
        max_abs_at=index(total.max_abs_at),
        max_rel=total.max_rel,
        max_rel_at=index(total.max_rel_at),
        max_ulp=total.max_ulp,
        max_ulp_at=index(total.max_ulp_at),
        ulp_histogram=tuple((thresholds[k], int(total.counts[k])) for k in np.flatnonzero(total.counts[:-1])),
        mismatches=total.mismatches,
        first_mismatch=index(total.first),
        nan_disagreements=total.nan,
        inf_disagreements=total.inf,
        zero_disagreements=total.zero,
        digest=mark,
    )
