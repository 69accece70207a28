"""JAX: jax.random.bernoulli, which Flax's and Equinox's dropout call too.

Source: observed on JAX 0.10.2; https://docs.jax.dev/en/latest/_autosummary/jax.random.bernoulli.html. The mask follows
the dtype of p, not of the array it is used on, so turning x64 on changes every mask whose p is a Python number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.streams.decision import Decision
from harness.streams.keys import Key, key_of
from harness.streams.numbers import at_least, scalar
from harness.streams.registry import Query, rule
from harness.streams.sources import Computed, Levels

#: Width of the random word, and bits of it that a uniform has.
WORDS = {"float32": (32, 23), "float64": (64, 52), "float16": (16, 10), "bfloat16": (8, 7)}

STREAM = "Threefry2x32 (or rbg's Philox4x32-10), top bits of the words; kept where u < 1 - rate"


def bernoulli(key: Key, keep: float, dtype: str, shape: tuple[int, ...], mode: str = "low") -> Decision:
    """Return jax.random.bernoulli(key, dtype(keep), shape, mode=mode)."""
    width, bits = WORDS[dtype]
    if mode == "low":
        source = key.source(width, bits, math.prod(shape))
        return Decision(shape, source, at_least(bits, dtype, keep), keep_high=False)
    if mode == "high":
        return _high(key, keep, dtype, shape)
    raise UserError(f"unknown mode {mode!r}{did_you_mean(mode, ('low', 'high'))}: low or high")


def _high(key: Key, keep: float, dtype: str, shape: tuple[int, ...]) -> Decision:
    """Two uniforms an element: kept where u2 * 2**-mantissa < p - u1, in the dtype of p."""
    width, bits = WORDS[dtype]
    count = math.prod(shape)
    # Two sources: the second half of one draw of twice the size; original threefry pairs the halves.
    source = key.source(width, bits, 2 * count)
    kind: Any = scalar(dtype)
    bound, step, small = kind(keep), kind(2.0**-bits), kind(2.0**-bits)

    def levels(start: int, stop: int) -> Levels:
        u1 = source.levels(start, stop).astype(kind) * step
        u2 = source.levels(count + start, count + stop).astype(kind) * step
        return np.asarray(u2 * small < bound - u1).astype(np.uint32)

    return Decision(shape, Computed(1, levels), 1, keep_high=True, graded=False)


def follow(key: Key, path: Sequence[Sequence[Any]]) -> Key:
    """Return the key that a path leads to: ("split", num, index) and ("fold_in", data), one after the other."""
    for step in path:
        match list(step):
            case ["split", int(num), int(index)] if 0 <= index < num:
                key = key.split(num)[index]
            case ["fold_in", int(data)]:
                key = key.fold_in(data)
            case other:
                raise UserError(f"path step {other} is neither ('split', num, index) nor ('fold_in', data)")
    return key


@rule(
    "jax.random.bernoulli",
    stream=STREAM,
    measured=("0.10.2",),
    since="0.4",
    searched=({}, {"partitionable": False}, {"impl": "rbg"}, {"mode": "high"}),
    repeats=True,
)
def jax_bernoulli(
    query: Query,
    *,
    impl: str = "threefry2x32",
    partitionable: bool | None = None,
    x64: bool = False,
    mode: str = "low",
    path: Sequence[Sequence[Any]] = (),
) -> Decision:
    """Return jax.random.bernoulli(key, 1 - rate, shape) with p in `dtype`; every call with one key gives the same.

    impl           threefry2x32, rbg or unsafe_rbg (these two on the CPU).
    partitionable  jax_threefry_partitionable; None: the version's default, which is on from 0.5.
    x64            jax_enable_x64: it decides how many bits of the seed count.
    mode           low or high.
    path           how the key came from jax.random.key(seed): ("split", num, index) and ("fold_in", data) steps.
    """
    if partitionable is None:
        partitionable = query.version >= (0, 5)
    key = follow(key_of(query.seed, impl, partitionable, x64), path)
    return bernoulli(key, 1.0 - query.rate, query.dtype, query.shape, mode)
