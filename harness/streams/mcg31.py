"""MCG31m1, a multiplicative congruential generator: x[k+1] = 1132489760 * x[k] mod (2**31 - 1).

Source: P. L'Ecuyer, "Tables of linear congruential generators of different sizes and good lattice structure", Math.
Comp. 68 (1999), 249-260 (modulus 2**31 - 1, multiplier 1132489760); VSL's notes on its basic generator MCG31m1.
x[k] = a**k * x[0] mod m, so any part of a stream can be had without what comes before.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

import numpy as np

MULTIPLIER = 1132489760
MODULUS = 2**31 - 1

#: Values worked on at a time.
CHUNK = 32768


def _powers() -> np.ndarray:
    """Return a**k mod m for k = 0 ... CHUNK - 1, by doubling."""
    powers = np.ones(CHUNK, dtype=np.uint64)
    known = 1
    while known < CHUNK:
        step = pow(MULTIPLIER, known, MODULUS)
        powers[known : 2 * known] = powers[:known] * np.uint64(step) % np.uint64(MODULUS)
        known *= 2
    return powers


_POWERS = _powers()


def initial(seed: int) -> int:
    """Return x[0] for a 32-bit seed: the seed modulo m, or 1 where that is 0."""
    return (seed & 0xFFFFFFFF) % MODULUS or 1


def values(first: int, start: int, out: np.ndarray) -> None:
    """Fill `out` (1-D, uint32) with x[start], x[start + 1] ... of the stream whose x[0] is `first`."""
    at = first * pow(MULTIPLIER, start, MODULUS) % MODULUS
    stride = pow(MULTIPLIER, CHUNK, MODULUS)
    spare = np.empty(min(CHUNK, len(out)), dtype=np.uint64)
    carry = np.empty_like(spare)
    for low in range(0, len(out), CHUNK):
        n = min(CHUNK, len(out) - low)
        product, high = spare[:n], carry[:n]
        np.multiply(_POWERS[:n], np.uint64(at), out=product)
        # The product is below 2**62; since 2**31 = 1 mod m, adding its halves reduces it below 2 m.
        np.right_shift(product, np.uint64(31), out=high)
        np.bitwise_and(product, np.uint64(MODULUS), out=product)
        np.add(product, high, out=product)
        # min(v, v - m) over unsigned words subtracts m exactly where v >= m: v - m wraps to a huge word otherwise.
        np.subtract(product, np.uint64(MODULUS), out=high)
        np.minimum(product, high, out=product)
        out[low : low + n] = product
        at = at * stride % MODULUS
