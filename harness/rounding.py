"""Rounding-sized noise: the probe with which a float64 reference measures its own sensitivity.

A reference takes ``rounding: Rounding | None``. With None it computes plainly. With a `Rounding` it passes every value
that a low precision program would have rounded through one of two methods:

* ``perturb(value, magnitude)`` after a sum of products (a matrix product, a reduction), where ``magnitude`` is the sum
  of the absolute terms, for example ``abs(x) @ abs(w) + abs(b)``. In any order the error of a sum of n terms is at most
  about n u times that (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, section 3.1,
  equation 3.5); errors of either sign and blocked sums leave about u times it (docs/tolerance.md);
* ``pointwise(value)`` after an elementwise operation: ``fl(v) = v (1 + d)``, ``|d| <= u`` (the standard model, section
  2.2).

Both also add the absolute error of gradual underflow (section 2.2, equation 2.8), or of flushing subnormals to zero,
where a value that is not zero is rounded. An exact zero stays zero, NaN and infinity stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.formats import UNIT_ROUNDOFF as UNIT_ROUNDOFF
from harness.formats import noise_size

Float64 = NDArray[np.float64]

# The largest error of a result too small for a normal number. XLA and TensorFlow flush subnormals of float32, float64
# and bfloat16 to zero on CPUs, which costs up to the smallest normal number. float16 arithmetic passes through float32
# there and keeps its subnormals, so half their spacing is enough.
UNDERFLOW: dict[str, float] = {
    "float16": 2.0**-25,
    "bfloat16": 2.0**-126,
    "float32": 2.0**-126,
    "float64": 2.0**-1022,
}


def unit_roundoff(dtype: Any) -> float:
    """The unit roundoff u of a floating dtype, given as a name, a NumPy dtype or a scalar type.

    Raises ValueError for a dtype that is not one of float16, bfloat16, float32, float64.
    """
    return UNIT_ROUNDOFF[_name(dtype)]


def _name(dtype: Any) -> str:
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in UNIT_ROUNDOFF:
        raise ValueError(f"no unit roundoff for dtype {name!r}: known are {', '.join(UNIT_ROUNDOFF)}")
    return name


@dataclass(frozen=True)
class Rounding:
    """Noise of the size of the rounding errors of one floating format.

    u: the unit roundoff. generator: where the noise comes from, one fresh draw for each element of each call.
    underflow: the absolute error of a result near the underflow threshold.
    """

    u: float
    generator: np.random.Generator = field(repr=False)
    underflow: float = 0.0

    @classmethod
    def of(cls, dtype: Any, seed: int) -> Rounding:
        """The noise of `dtype` from a NumPy seed, of `noise_size`. Raises ValueError for an unknown dtype."""
        name = _name(dtype)
        return cls(noise_size(name), np.random.default_rng(seed), UNDERFLOW[name])

    def perturb(self, value: Any, magnitude: Any) -> Float64:
        """``value + u xi magnitude``, xi uniform in (-1, 1); `magnitude` >= 0 broadcasts to the shape of `value`."""
        exact = np.asarray(value, dtype=np.float64)
        size = np.asarray(magnitude, dtype=np.float64)
        # Rounding moves no NaN and no infinity; an infinite bound on one would make a NaN of it.
        moved = (size != 0.0) & np.isfinite(exact)
        bound = np.where(moved, self.u * size + self.underflow, 0.0)
        noisy: Float64 = exact + self.generator.uniform(-1.0, 1.0, exact.shape) * bound
        return noisy

    def constant(self, value: Any, amplification: float = 1.0) -> Float64:
        """``value (1 + u s amplification)`` with one sign s for all elements: one rounded constant that multiplies an
        array.

        An error that all elements share does not average out in a sum as independent ones do.
        """
        sign = 2.0 * self.generator.integers(0, 2) - 1.0
        return np.asarray(value, dtype=np.float64) * (1.0 + self.u * sign * amplification)

    def pointwise(self, value: Any) -> Float64:
        """``value (1 + u xi)`` with xi uniform in (-1, 1)."""
        return self.perturb(value, np.abs(value))
