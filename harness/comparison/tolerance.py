"""How far a backend may lie from the float64 reference: derived from the case itself. docs/tolerance.md has the
derivation.

The reference runs once clean and a few times with rounding-sized noise wherever a float program rounds
(`harness.rounding`). The largest deviation is the case's own sensitivity S, and a backend passes within K S.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.rounding import Rounding, unit_roundoff

Float64 = NDArray[np.float64]
Evaluate = Callable[[Rounding | None], Mapping[str, NDArray[Any]]]

# Factor between the largest deviation of the noisy references and what is accepted. 29 float32 LSTM implementations on
# ten configurations needed at most 4.0 (docs/tolerance.md; benchmarks/tolerance.py repeats it), so 8 leaves a factor of
# two.
K = 8.0

# Three runs are enough where many elements deviate by much. S may rest on few: it is run again until as many deviations
# as EVIDENCE lie within a factor of four of it.
RUNS = 3
MOST_RUNS = 12
EVIDENCE = 8

# Beyond this share of the largest output the bound no longer separates right from wrong (Higham 2002, section 1.6: the
# forward error is the condition number times the backward error). Formats whose u alone is near that share get
# ILL_CONDITIONED_UNITS u.
ILL_CONDITIONED = 1e-3
ILL_CONDITIONED_UNITS = 16.0

# Where no reference exists: largest error over the largest magnitude, in units of u. The same 29 implementations stayed
# within 21 u at ordinary weights for T up to 500 and H up to 256; chaotic recurrences have no such bound.
FIXED_UNITS = 64.0


@dataclass(frozen=True)
class Bound:
    """What one output may deviate by.

    sensitivity: S, the largest deviation of the noisy references, in the output's own units. limit: k S.
    magnitude: the largest finite absolute value of the clean reference. k: the factor. runs: how many noisy references were
    run. ill_conditioned: S is so large a share of `magnitude` that agreement would mean nothing.
    """

    sensitivity: float
    limit: float
    magnitude: float
    k: float
    runs: int
    ill_conditioned: bool


@dataclass(frozen=True)
class Sensitivity:
    """The clean reference's arrays and, under the same names, their bounds."""

    clean: dict[str, Float64]
    bounds: dict[str, Bound]


def sensitivity(
    evaluate: Evaluate, dtype: Any, *, seed: int = 0, k: float = K, runs: int = RUNS, most: int = MOST_RUNS
) -> Sensitivity:
    """Run the float64 reference clean and with the rounding noise of `dtype`; bound every array that it returns.

    evaluate: called with None or with a `Rounding`; returns arrays by name, the same names and shapes at every call.
    dtype: the format that the backends compute in. seed: of the noise, so that a verdict can be repeated. runs, most:
    at least and at most how many noisy runs; small arrays take more, until S does not rest on a few lucky draws
    (EVIDENCE).

    Raises ValueError for an unknown dtype, fewer than one run, a k that is not positive, or a reference that changes
    its names or shapes.
    """
    if runs < 1 or not k > 0.0:
        raise ValueError(f"need at least one run and a positive k, got runs={runs}, k={k}")
    u = unit_roundoff(dtype)
    clean = _floats(evaluate(None))
    deviations: dict[str, list[Float64]] = {name: [] for name in clean}
    done = 0
    while done < runs or (done < most and not all(_settled(found) for found in deviations.values())):
        noisy = _floats(evaluate(Rounding.of(dtype, seed + done)))
        if _shapes(noisy) != _shapes(clean):
            raise ValueError("the reference returned other names or shapes when it was run with noise")
        for name, array in noisy.items():
            deviations[name].append(_tops(array, clean[name]))
        done += 1
    return Sensitivity(clean, {name: _bound(deviations[name], clean[name], u, k, done) for name in clean})


def _tops(noisy: Float64, clean: Float64) -> Float64:
    """The EVIDENCE largest deviations, or all where there are fewer.

    Both NaN, or both the same infinity, is no deviation: an input's NaN reaches every run. One alone is an infinite one.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(noisy - clean)
    same = (noisy == clean) | (np.isnan(noisy) & np.isnan(clean))
    deviation: Float64 = np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap)).reshape(-1)
    return deviation if deviation.size <= EVIDENCE else np.partition(deviation, -EVIDENCE)[-EVIDENCE:]


def _settled(found: list[Float64]) -> bool:
    """Whether EVIDENCE deviations come near the largest: then it is no accident that it is not much larger."""
    largest = np.concatenate(found)
    top = np.max(largest, initial=0.0)
    return not top > 0.0 or int(np.count_nonzero(largest >= top / 4.0)) >= EVIDENCE


def _floats(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Float64]:
    return {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}


def _shapes(arrays: Mapping[str, Float64]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _largest(array: Float64) -> float:
    return float(np.max(np.abs(array), initial=0.0))


def _bound(deviations: list[Float64], clean: Float64, u: float, k: float, runs: int) -> Bound:
    # NaN and infinity have no size; where the reference has them, a result has the same or differs.
    deviation, magnitude = _largest(np.concatenate(deviations)), _largest(clean[np.isfinite(clean)])
    # What is rounded at all is rounded at its largest element too.
    measured = max(deviation, u * magnitude) if deviation > 0.0 else deviation
    share = max(ILL_CONDITIONED, ILL_CONDITIONED_UNITS * u)
    ill = not (np.isfinite(measured) and measured <= share * magnitude)
    return Bound(measured, k * measured, magnitude, k, runs, ill)


def printed_limit(values: NDArray[Any], digits: int) -> Float64:
    """Half a unit in the last printed place of each value, for outputs that a document prints with `digits` digits."""
    if digits < 1:
        raise ValueError(f"a printed number has at least one significant digit, got {digits}")
    size = np.abs(np.asarray(values, dtype=np.float64))
    exponent = np.floor(np.log10(np.where(size > 0.0, size, 1.0)))
    half: Float64 = np.where(size > 0.0, 0.5 * 10.0 ** (exponent + 1 - digits), 0.0)
    return half
