"""Less precision than the case asks for. Its numbers cannot be predicted, but their size can, and what format stored them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.comparison.kernel_formats import FLOATS, rounded
from harness.comparison.tolerance import K, sensitivity
from harness.diagnosis.observed import Observed, predicted
from harness.records import Arrays
from harness.rounding import UNDERFLOW, UNIT_ROUNDOFF, Rounding

#: Formats from wide to narrow; TF32 has float32's range and float16's 11 significant bits.
FORMATS = ("float64", "float32", "float16", "bfloat16")
WORDS = {
    "float32": "float32",
    "float16": "11 significant bits: TF32 products, or float16",
    "bfloat16": "bfloat16",
}


@dataclass(frozen=True)
class Coarse:
    """A narrower format whose rounding errors are as large as the deviations. worst: deviation over what it allows."""

    format: str
    worst: float
    stored: bool

    @property
    def cause(self) -> str:
        """As a report says it."""
        how = "all values are numbers of that format" if self.stored else "the deviations are of that size"
        return f"computed in less precision than asked for: {WORDS[self.format]} ({how})"


def narrower(dtype: str) -> list[str]:
    """The formats with fewer significant bits, widest first."""
    return [name for name in FORMATS if UNIT_ROUNDOFF[name] > UNIT_ROUNDOFF[dtype]]


def noise(dtype: str, name: str, seed: int) -> Rounding:
    """The rounding errors of a narrower format within the range of the case's own."""
    return Rounding(UNIT_ROUNDOFF[name], np.random.default_rng(seed), UNDERFLOW[dtype])


def coarse(passes: list[Observed], formats: list[str]) -> Coarse | None:
    """The widest of these formats whose rounding explains every deviation of the first pass; None where none does."""
    one = passes[0]
    if one.expected is None or not spread(one):
        return None
    for name in formats:
        bounds = sensitivity(partial(_noisy, one, name), one.setting.dtype, k=K).bounds
        if any(bounds[key].ill_conditioned and name == "float32" for key in one.actual if key in bounds):
            return None
        ratios = [
            one.ratio(key, one.expected[key]) * one.limits[key] / bounds[key].limit
            for key in one.actual
            if 0.0 < one.limits[key] < float("inf") and bounds[key].limit > 0.0
        ]
        # Far smaller deviations than the format's have another reason.
        if ratios and max(ratios) <= 1.0 and max(ratios) > 1e-2 and all(np.isfinite(ratios)):
            return Coarse(name, max(ratios), stored(one.actual, name))
    return None


def spread(one: Observed) -> bool:
    """Whether deviations are everywhere, as rounding is: half of what is not zero in each differing array is beyond its limit."""
    assert one.expected is not None
    for name in one.failing():
        actual, expected = np.asarray(one.actual[name], dtype=np.float64), one.expected[name]
        if actual.shape != expected.shape:
            return False
        busy = expected != 0.0
        with np.errstate(invalid="ignore"):  # infinities on both sides
            beyond = np.abs(actual - expected)[busy] > one.limits[name]
        if not busy.any() or np.mean(beyond) < 0.5:
            return False
    return True


def _noisy(one: Observed, name: str, rounding: Rounding | None) -> Arrays:
    """The reference with the noise of the narrower format; sensitivity() hands over that of the case's own, for its seed."""
    if rounding is not None:
        seed = int(rounding.generator.integers(1 << 32))
        rounding = noise(one.setting.dtype, name, seed)
    return predicted((), one.setting.changed(rounding=rounding)) or {}


def stored(arrays: Arrays, name: str) -> bool:
    """Whether every value is a number of the format."""
    values = [np.asarray(array, dtype=np.float64).reshape(-1) for array in arrays.values()]
    flat = np.concatenate(values) if values else np.zeros(0)
    flat = flat[np.isfinite(flat)]
    return bool(flat.size) and bool((rounded(flat, FLOATS[name]).astype(np.float64) == flat).all())
