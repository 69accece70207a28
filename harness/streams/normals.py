"""Standard normals as each framework makes them of its words, to a few ulps: libraries round sin, cos and log alike
only so far, and a CPU's vector path decides, so bits are not promised.

Sources: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Ann. Math. Stat. 29 (1958);
M. Giles, "Approximating the erfinv function", GPU Computing Gems Jade (2011), for the single-precision polynomials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.streams.decision import CHUNK
from harness.streams.sources import Source

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Normals:
    """Predicted standard normals; `ulps` is what they may differ by, in units in the last place of each value."""

    values: Floats
    ulps: int


@dataclass(frozen=True, slots=True)
class Noise:
    """What `predict_normal` returns: values, the promise, and where they come from (fields as harness.streams.Mask)."""

    values: Floats
    ulps: int
    like: str
    version: str
    stream: str
    rule: str
    measured: tuple[str, ...]


def levels_of(source: Source, count: int) -> npt.NDArray[np.uint64]:
    """Return `count` levels of a source."""
    parts = [source.levels(low, min(low + CHUNK, count)).astype(np.uint64) for low in range(0, count, CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def tensorflow_pairs(levels: npt.NDArray[np.uint64], bits: int, dtype: str) -> Floats:
    """Box-Muller on pairs of uniforms (u, u'): v = 2 pi u', r = sqrt(-2 log max(u, 1e-7)), giving (r sin v, r cos v).

    The angle is a double product rounded once to the working dtype.
    """
    kind = np.float64 if dtype == "float64" else np.float32
    uniform = levels.reshape(-1, 2) * 2.0**-bits
    first = np.maximum(uniform[:, 0].astype(kind), kind(1e-7))
    angle = (2.0 * np.pi * uniform[:, 1]).astype(kind)
    radius = np.sqrt(kind(-2.0) * np.log(first))
    return np.stack([np.sin(angle) * radius, np.cos(angle) * radius], axis=1).reshape(-1)


def torch_blocks(levels: npt.NDArray[np.uint64], bits: int, kind: type[np.floating[Any]]) -> Floats:
    """Box-Muller on blocks of 16 uniforms: eight radii from 1 - u, eight angles; cosines first, then sines."""
    uniform = (levels.reshape(-1, 16) * 2.0**-bits).astype(kind)
    radius = np.sqrt(kind(-2.0) * np.log(kind(1.0) - uniform[:, :8]))
    angle = (kind(2.0 * np.pi) * uniform[:, 8:]).astype(kind)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


def torch_few(levels: npt.NDArray[np.uint64]) -> Floats:
    """Box-Muller in double on pairs of 53-bit uniforms, for fewer than 16 values."""
    uniform = levels.reshape(-1, 2) * 2.0**-53
    radius, angle = np.sqrt(-2.0 * np.log1p(-uniform[:, 1])), 2.0 * np.pi * uniform[:, 0]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


_CENTRE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def _polynomial(at: Floats, coefficients: Sequence[float]) -> Floats:
    value = np.full_like(at, coefficients[0])
    for coefficient in coefficients[1:]:
        value = np.float32(coefficient) + value * at
    return value


def erfinv(x: Floats) -> Floats:
    """The inverse error function as XLA computes it: through w = -log(1 - x**2), rounded in x's dtype.

    Near +-1 the rounding of x**2 moves the result far beyond an ulp, so an exact inverse would not do.
    """
    w = -np.log1p(-x * x)
    if x.dtype == np.float32:
        centre, tail = _polynomial(w - np.float32(2.5), _CENTRE), _polynomial(np.sqrt(w) - np.float32(3.0), _TAIL)
        return np.asarray(np.where(w < 5, centre, tail) * x)
    from scipy import special

    # x' = sqrt(1 - exp(-w)) is the argument that w stands for, and 1 - x' = exp(-w) / (1 + x') keeps its digits.
    stands = np.sqrt(-np.expm1(-w))
    far = np.copysign(special.erfcinv(np.exp(-w) / (1.0 + stands)), x)
    return np.asarray(np.where(np.abs(x) < 0.5, special.erfinv(x), far))


def jax_normal(levels: npt.NDArray[np.uint64], bits: int, kind: type[np.floating[Any]]) -> Floats:
    """sqrt(2) erfinv(u), u uniform in (-1, 1) from the float after -1 on."""
    low = np.nextafter(kind(-1.0), kind(0.0))
    unit = (levels * 2.0**-bits).astype(kind)
    uniform = np.maximum(low, unit * (kind(1.0) - low) + low)
    return np.asarray(kind(np.sqrt(2.0)) * erfinv(uniform))
