"""Which family of noise? Values against the distributions that layers use, standardised by the sample itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.statistics.distributions import normal_cdf

Float64 = NDArray[np.float64]
Cdf = Callable[[Float64], Float64]

_ROOT2 = math.sqrt(2.0)
# The standard deviation of a standard normal cut at two, as TensorFlow and JAX cut it.
_INSIDE = math.erf(2.0 / math.sqrt(2.0))
_TRUNCATED_SPREAD = math.sqrt(1.0 - 4.0 * math.exp(-2.0) / math.sqrt(2.0 * math.pi) / _INSIDE)
# Distribution functions with mean 0 and standard deviation 1.
FAMILIES: dict[str, Cdf] = {
    "normal": normal_cdf,
    "uniform": lambda z: np.clip((z / math.sqrt(3.0) + 1.0) / 2.0, 0.0, 1.0),
    "laplace": lambda z: np.where(z < 0, 0.5 * np.exp(-_ROOT2 * np.abs(z)), 1.0 - 0.5 * np.exp(-_ROOT2 * np.abs(z))),
    "truncated normal": lambda z: np.clip((normal_cdf(z * _TRUNCATED_SPREAD) - 0.5) / _INSIDE + 0.5, 0.0, 1.0),
}


def families(values: NDArray[Any], level: float = 1e-9, allowed: float = 0.0) -> tuple[str, ...]:
    """The names of all families that the values could come from; more than one where they are too few to tell.

    values: noise, any shape. `constant` and `two-valued` (a mask) stand alone: a continuous draw does not repeat itself
    so. The others are judged by the largest distance between the distribution functions, after the sample's own mean
    and spread are taken out. Fitting them costs power, not validity: the bound 2 exp(-2 n d**2) becomes more cautious
    (Lilliefors 1967). allowed: a distance that does not matter, for coarse draws. Values that are not finite belong to
    no family.
    """
    z = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    if z.size == 0:
        return tuple(FAMILIES)
    if not np.isfinite(z).all():
        return ()
    distinct = int(np.count_nonzero(np.diff(z))) + 1
    if distinct == 1 and z.size > 1:
        return ("constant",)
    if distinct == 2 and z.size > 8:
        return ("two-valued",)
    spread = float(z.std())
    standard = (z - z.mean()) / spread if spread > 0.0 else z - z
    steps = np.arange(z.size + 1) / z.size
    reach = allowed + math.sqrt(math.log(2.0 / level) / (2.0 * z.size))
    found = []
    for name, cdf in FAMILIES.items():
        at = cdf(standard)
        distance = float(max((steps[1:] - at).max(), (at - steps[:-1]).max()))
        if distance <= reach:
            found.append(name)
    return tuple(found)
