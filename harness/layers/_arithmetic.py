"""The arithmetic of a reference: float64, and with rounding-sized noise where a float program would round.

One code path serves both, so that the noisy run is the clean run with noise and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.rounding import Rounding

Array = np.ndarray


def float64(array: Array) -> Array:
    """The array in float64, whatever it was stored in."""
    return np.asarray(array, dtype=np.float64)


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)); an exp that overflows gives the exact limit 0."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-z)))


class Arithmetic:
    """Sums of products and pointwise results, perturbed when `rounding` is given (the model: harness.rounding)."""

    def __init__(self, rounding: Rounding | None) -> None:
        self.rounding = rounding

    def point(self, value: Array, exact: Sequence[float] = ()) -> Array:
        """The result of an elementwise operation; `exact` are results that no program rounds, as the ends of a clip."""
        if self.rounding is None:
            return value
        noisy = self.rounding.pointwise(value)
        return np.where(np.isin(value, exact), value, noisy) if exact else noisy

    def affine(self, pairs: Sequence[tuple[Array, Array]], *addends: Array) -> Array:
        """Return sum a @ b + sum addends, one rounded sum of |a| @ |b| + |addend|."""
        value = sum((a @ b for a, b in pairs), start=sum(addends, start=np.float64(0.0)))
        if self.rounding is None:
            return np.asarray(value)
        magnitude = sum(
            (np.abs(a) @ np.abs(b) for a, b in pairs), start=sum(map(np.abs, addends), start=np.float64(0.0))
        )
        return self.rounding.perturb(value, magnitude)

    def total(self, value: Array, magnitude: Array) -> Array:
        """A sum that was accumulated elsewhere, with the sum of its absolute terms."""
        return value if self.rounding is None else self.rounding.perturb(value, magnitude)

    def mask(self, multiplier: Array | None) -> Array | None:
        """A multiplier as a float program holds it: 1 / keep, rounded once before anything is multiplied by it.

        Where keep is 1 - rate of a rate rounded to float32 (Equinox), u rate / keep is added to its relative error; nobody
        computes it in a half format. Noise that is not 0 or 1 / keep has no such constant.
        """
        if multiplier is None or self.rounding is None:
            return multiplier
        top = float(np.max(multiplier, initial=1.0))
        if not np.isin(multiplier, (0.0, top)).all():
            return self.point(multiplier)
        single = min(1.0, 2.0**-24 / self.rounding.u) if self.rounding.u else 0.0
        return self.rounding.constant(multiplier, 1.0 + (top - 1.0) * single)

    def times(self, value: Array, mask: Array | None) -> Array:
        """Return value * mask; without a mask the value itself, untouched."""
        if mask is None:
            return value
        with np.errstate(invalid="ignore"):  # inf * 0 is NaN, as in every framework
            return self.point(value * mask)
