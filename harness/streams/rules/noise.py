"""Normals of each framework's API: tf.random.normal, torch.randn, jax.random.normal, and Keras 3 on each backend.

Source: observed on TensorFlow 2.21.0, torch 2.6.0 and 2.13.0, JAX 0.10.2 and Keras 3.15.1 in float32 and float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.streams import mt19937
from harness.streams.keys import Key, key_of
from harness.streams.normals import Floats, Normals, jax_normal, levels_of, tensorflow_pairs, torch_blocks, torch_few
from harness.streams.registry import Query, rule
from harness.streams.rules.jax_random import WORDS, follow
from harness.streams.rules.keras3 import BACKENDS, reduced_seed, seed_span
from harness.streams.rules.tensorflow2 import BITS, eager_op_seed, op_seeds, stateful, stateless_source
from harness.streams.rules.torch_cpu import engine
from harness.streams.sources import Source

_DTYPES = ("float32", "float64")

#: Twice what was seen over a million values of each API; XLA's float64 polynomials are the coarsest.
_ULPS = 8
_ULPS_XLA_FLOAT64 = 68


def _kind(dtype: str) -> type[np.floating[Any]]:
    return np.float64 if dtype == "float64" else np.float32


def _tensorflow(query: Query, source: Source) -> Normals:
    count = math.prod(query.shape)
    pairs = tensorflow_pairs(levels_of(source, count + count % 2), BITS[query.dtype], query.dtype)
    return Normals(pairs[:count].reshape(query.shape), _ULPS)


@rule(
    "tensorflow.random.normal",
    stream="Philox4x32-10 from (seed, op seed), Box-Muller",
    measured=("2.21.0",),
    since="2.0",
    dtypes=_DTYPES,
    kind="normal",
)
def tensorflow_normal(query: Query, *, op_seed: int | None = None, before: Sequence[int] = ()) -> Normals:
    """Return the `call`-th eager tf.random.normal after tf.random.set_seed(seed); options as for tf.nn.dropout."""
    drawn = 0
    if op_seed is None:
        op_seed = eager_op_seed(query.seed, len(before) + query.call)
    else:
        drawn = sum(before) + query.call * math.prod(query.shape)
    return _tensorflow(query, stateful(op_seeds(query.seed, op_seed), query.dtype, drawn))


@rule(
    "tensorflow.random.stateless_normal",
    stream="Philox4x32-10, key and counter made of two seeds; Box-Muller",
    measured=("2.21.0",),
    since="2.4",
    dtypes=_DTYPES,
    kind="normal",
)
def tensorflow_stateless_normal(query: Query, *, seed2: int = 0) -> Normals:
    """Return tf.random.stateless_normal with seed=[seed, seed2]."""
    return _tensorflow(query, stateless_source(query.seed, seed2, query.dtype))


def _torch(query: Query, stream: mt19937.Stream) -> Normals:
    count, kind = math.prod(query.shape), _kind(query.dtype)
    if count < 16:
        levels = stream.words64(count + count % 2) & np.uint64(2**53 - 1)
        few: Floats = torch_few(levels)[:count].astype(kind)
        return Normals(few.reshape(query.shape), _ULPS)
    bits = 53 if query.dtype == "float64" else 24

    def levels_next(number: int) -> npt.NDArray[np.uint64]:
        words = stream.words64(number) if bits == 53 else stream.words32(number).astype(np.uint64)
        return np.asarray(words & np.uint64((1 << bits) - 1))

    values: Floats = np.empty(count, dtype=kind)
    drawn, whole = levels_next(count), count // 16 * 16
    values[:whole] = torch_blocks(drawn[:whole], bits, kind)
    if whole < count:
        # A last block of 16 is drawn anew and laid over the end.
        values[-16:] = torch_blocks(levels_next(16), bits, kind)
    return Normals(values.reshape(query.shape), _ULPS)


@rule(
    "torch.randn",
    "torch.Tensor.normal_",
    stream="MT19937, Box-Muller in blocks of 16",
    measured=("2.6.0", "2.13.0"),
    since="2.0",
    dtypes=_DTYPES,
    kind="normal",
)
def torch_normal(query: Query, *, state: bytes | None = None) -> Normals:
    """Return torch.randn(shape) after torch.manual_seed(seed) or from a state of torch.get_rng_state(); call 0 alone."""
    if query.call:
        raise UserError(f"{query.like} is predicted for call 0; give the generator's `state` for a later one")
    return _torch(query, engine(query.seed, state, 0)())


def _jax(query: Query, key: Key) -> Normals:
    width, bits = WORDS[query.dtype]
    count = math.prod(query.shape)
    levels = levels_of(key.source(width, bits, count), count)
    ulps = _ULPS_XLA_FLOAT64 if query.dtype == "float64" else _ULPS
    return Normals(jax_normal(levels, bits, _kind(query.dtype)).reshape(query.shape), ulps)


@rule(
    "jax.random.normal",
    stream="Threefry2x32 (or rbg's Philox4x32-10), inverse error function",
    measured=("0.10.2",),
    since="0.4",
    dtypes=_DTYPES,
    kind="normal",
    repeats=True,
)
def jax_random_normal(
    query: Query,
    *,
    impl: str = "threefry2x32",
    partitionable: bool | None = None,
    x64: bool = False,
    path: Sequence[Sequence[Any]] = (),
) -> Normals:
    """Return jax.random.normal(key, shape, dtype); options as for jax.random.bernoulli."""
    if partitionable is None:
        partitionable = query.version >= (0, 5)
    return _jax(query, follow(key_of(query.seed, impl, partitionable, x64), path))


@rule(
    "keras.random.normal",
    "keras.layers.GaussianNoise",
    "keras.layers.GaussianDropout",
    stream="SeedGenerator [seed, k] with each backend's own normals",
    measured=("3.15.1",),
    backends=BACKENDS,
    since="3.0",
    dtypes=("float32",),
    kind="normal",
)
def keras_normal(query: Query, *, draws_before: int = 0) -> Normals:
    """Return the standard normals of the `call`-th call of a layer with seed=seed.

    draws_before  draws that its SeedGenerator has made before; `call` counts further ones.
    """
    seed_span(query.backend, query.seed)
    k = draws_before + query.call
    if query.backend == "tensorflow":
        return _tensorflow(query, stateless_source(reduced_seed(query.seed), k, query.dtype))
    if query.backend == "torch":
        return _torch(query, mt19937.Stream(query.seed + k))
    if query.backend == "jax":
        return _jax(query, Key((query.seed, k)))
    drawn = np.random.default_rng([query.seed, k]).normal(size=query.shape).astype(np.float32)
    return Normals(np.asarray(drawn), 1)
