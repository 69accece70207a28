"""Correct LSTMs in low precision, written in several ways as people write them, and one in mpmath's 50 digits.

All take batch-major x (B, T, D) and the canonical kernel (D, 4H), recurrent_kernel (H, 4H), bias (4H,), gates i, f, g, o,
and return y (B, T, H) and the last h and c (B, H).
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np

from harness.comparison.kernel_formats import rounded

Arrays = dict[str, np.ndarray]
Variant = Callable[[Arrays], Arrays]


def _unroll(a: Arrays, gates: Callable[[np.ndarray, np.ndarray], list[np.ndarray]], d: Callable) -> Arrays:
    """The recurrence with every result rounded to the format by `d`; `gates` gives z_i, z_f, z_g, z_o."""
    x = a["x"]
    units = a["bias"].size // 4
    h = c = d(np.zeros((x.shape[0], units)))
    one = d(np.ones(()))
    steps = []
    for t in range(x.shape[1]):
        i, f, g, o = gates(x[:, t], h)
        i, f, o = (d(one / d(one + d(np.exp(d(-z))))) for z in (i, f, o))
        g = d(np.tanh(g))
        c = d(d(f * c) + d(i * g))
        h = d(o * d(np.tanh(c)))
        steps.append(h)
    return {"y": np.stack(steps, 1), "h": h, "c": c}


def fused(a: Arrays) -> Arrays:
    """One product of the concatenated input and state."""
    both = np.concatenate([a["kernel"], a["recurrent_kernel"]])
    return _unroll(a, lambda x, h: np.split(np.concatenate([x, h], 1) @ both + a["bias"], 4, axis=1), np.asarray)


def split(a: Arrays) -> Arrays:
    """A product for each gate, sums in another order."""
    w, u, b = (np.split(a[name], 4, axis=-1) for name in ("kernel", "recurrent_kernel", "bias"))
    return _unroll(a, lambda x, h: [b[k] + h @ u[k] + x @ w[k] for k in range(4)], np.asarray)


def two_biases(a: Arrays) -> Arrays:
    """Transposed weights and a bias in two halves, as torch has them; the input product for all steps at once."""
    first = (a["bias"] / 3).astype(a["bias"].dtype)
    second = a["bias"] - first
    wide = np.einsum("btd,gd->btg", a["x"], a["kernel"].T.copy()) + first
    steps = iter(np.moveaxis(wide, 1, 0))
    recurrent = np.asfortranarray(a["recurrent_kernel"])
    return _unroll(a, lambda x, h: np.split(next(steps) + (h @ recurrent + second), 4, axis=1), np.asarray)


def element_sums(a: Arrays) -> Arrays:
    """Every product summed term by term from the end, the worst order that anyone uses."""

    def product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        total = np.zeros((x.shape[0], w.shape[1]), x.dtype)
        for k in reversed(range(w.shape[0])):
            total = total + x[:, k : k + 1] * w[k]
        return total

    return _unroll(
        a,
        lambda x, h: np.split(product(x, a["kernel"]) + product(h, a["recurrent_kernel"]) + a["bias"], 4, axis=1),
        np.asarray,
    )


def wide_sums(a: Arrays) -> Arrays:
    """Half formats with products summed in float32 and every result stored in the half format, as accelerators do."""
    dtype = a["x"].dtype
    f32 = {name: array.astype(np.float32) for name, array in a.items()}

    def store(value: np.ndarray) -> np.ndarray:
        return rounded(np.asarray(value, np.float32), dtype).astype(np.float32)

    def gates(x: np.ndarray, h: np.ndarray) -> list[np.ndarray]:
        return np.split(store(x @ f32["kernel"] + h @ f32["recurrent_kernel"] + f32["bias"]), 4, axis=1)

    return _unroll(f32, gates, store)


VARIANTS: dict[str, dict[str, Variant]] = {
    "float64": {"fused": fused, "split": split, "two biases": two_biases, "element sums": element_sums},
    "float32": {"fused": fused, "split": split, "two biases": two_biases, "element sums": element_sums},
    "float16": {"wide sums": wide_sums, "split": split, "element sums": element_sums},
    "bfloat16": {"wide sums": wide_sums},
}


Change = tuple[str, tuple[int, ...], mpmath.mpf]


def _lists(array: np.ndarray, change: Change | None, name: str) -> list:
    """An array as nested lists of mpf, one element changed."""
    high = np.vectorize(mpmath.mpf, otypes=[object])(array.astype(np.float64))
    if change is not None and change[0] == name:
        high[change[1]] += change[2]
    return high.tolist()


def _exact(a: Arrays, change: Change | None = None) -> tuple[list, list, list]:
    """y, h and c as nested lists of mpf, in the working precision."""
    w, u, b = (_lists(a[name], change, name) for name in ("kernel", "recurrent_kernel", "bias"))
    units = len(b) // 4
    rows_y, rows_h, rows_c = [], [], []
    for sample in _lists(a["x"], change, "x"):
        h = c = [mpmath.mpf(0)] * units
        steps = []
        for x in sample:
            terms = [*zip(x, w, strict=True), *zip(h, u, strict=True)]
            z = [mpmath.fsum([v * row[k] for v, row in terms] + [b[k]]) for k in range(4 * units)]
            i, f, o = ([1 / (1 + mpmath.exp(-z[n * units + k])) for k in range(units)] for n in (0, 1, 3))
            c = [f[k] * c[k] + i[k] * mpmath.tanh(z[2 * units + k]) for k in range(units)]
            h = [o[k] * mpmath.tanh(c[k]) for k in range(units)]
            steps.append(h)
        rows_y.append(steps)
        rows_h.append(h)
        rows_c.append(c)
    return rows_y, rows_h, rows_c


def exact(a: Arrays) -> Arrays:
    """The same equations in 50 digits (mpmath), rounded to float64 at the end."""
    with mpmath.workdps(50):
        return {name: np.array(rows, dtype=np.float64) for name, rows in zip("yhc", _exact(a), strict=True)}


def exact_sum(a: Arrays, change: Change) -> mpmath.mpf:
    """The sum of all outputs with one element of an input or weight changed, in the working precision."""
    return mpmath.fsum(value for rows in _exact(a, change) for value in np.array(rows, dtype=object).reshape(-1))
