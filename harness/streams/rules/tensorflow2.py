"""TensorFlow 2: tf.nn.dropout eagerly and in a tf.function, stateless dropout, Generator.

Source: observed on TensorFlow 2.0.0 and 2.21.0; seeds as in https://www.tensorflow.org/api_docs/python/tf/random/set_seed.
Every op draws from Philox4x32-10 keyed by its first seed, from counter second seed << 64 on; a call on n elements moves
the counter of its kernel by 256 n. Floats take the LOW bits of words: 23 (float32), 10 (float16), 7 (bfloat16) or 52 of
two words (float64), and are kept where u >= dtype(rate).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from harness.errors import UserError
from harness.streams import philox
from harness.streams.decision import Decision
from harness.streams.mask import Unpredictable
from harness.streams.numbers import at_least
from harness.streams.registry import Query, rule
from harness.streams.shapes import Shape, noise
from harness.streams.sources import Philox

BITS = {"float32": 23, "float64": 52, "float16": 10, "bfloat16": 7}

_MEASURED = ("2.0.0", "2.21.0")
_MODULUS = 2**31 - 1
_STATELESS_KEY = (0x3EC8F720, 0x02461E29)
_UNSET_GLOBAL = 87654321
_SKIP = 256

#: Ops that tf.nn.dropout(x, number) adds to a graph before the random op asks for its seed (TensorFlow 1 and 2.0).
OPS_BEFORE_SEED = 4


def _pair(dtype: str) -> str:
    return "high_first" if dtype == "float64" else ""


def op_seeds(global_seed: int | None, op_seed: int | None) -> tuple[int, int]:
    """Return the two seeds of an op as tf.compat.v1.get_seed does; at least one argument is set."""
    first = _UNSET_GLOBAL if global_seed is None else global_seed
    second = 0 if op_seed is None else op_seed
    pair = (first % _MODULUS, second % _MODULUS)
    return (0, _MODULUS) if pair == (0, 0) else pair


def stateful(pair: tuple[int, int], dtype: str, drawn_before: int) -> Philox:
    """Return the source of a stateful op whose kernel drew `drawn_before` elements already."""
    key = (pair[0] & 0xFFFFFFFF, pair[0] >> 32)
    return Philox(key, (pair[1] << 64) + _SKIP * drawn_before, BITS[dtype], pair=_pair(dtype))


def stateless_start(seed: int, seed2: int) -> tuple[tuple[int, int], int]:
    """Return key and counter that a stateless op makes of its two seeds (64 bits each, two's complement)."""
    first, second = seed % 2**64, seed2 % 2**64
    low, high = first & 0xFFFFFFFF, first >> 32
    m = philox.block(_STATELESS_KEY, (low, high, second & 0xFFFFFFFF, second >> 32))
    return (m[0], m[1]), (m[2] << 64) | (m[3] << 96)


def stateless_source(seed: int, seed2: int, dtype: str) -> Philox:
    """Return the source of a stateless op with seed=[seed, seed2]."""
    key, counter = stateless_start(seed, seed2)
    return Philox(key, counter, BITS[dtype], pair=_pair(dtype))


def refuse_rate_1(query: Query) -> None:
    """Raise UserError at rate 1, which TensorFlow's dropout raises an error for."""
    if query.rate == 1.0:
        raise UserError(f"{query.like} refuses rate 1: it takes rates in [0, 1)")


def _kept(query: Query, drawn: Shape, source: Philox) -> Decision:
    if not query.like.startswith("tensorflow.random."):
        refuse_rate_1(query)
    return Decision(drawn, source, at_least(source.bits, query.dtype, query.rate)).spread(query.shape)


def eager_op_seed(global_seed: int, ops_before: int) -> int:
    """Return the op seed that eager mode gives the next unseeded op, `ops_before` of them after set_seed."""
    generator = random.Random(global_seed)
    for _ in range(ops_before):
        generator.randint(0, _MODULUS)
    return generator.randint(0, _MODULUS)


_STREAM = "Philox4x32-10 from (seed, op seed), low bits of the words; kept where u >= rate"


@rule(
    "tensorflow.nn.dropout",
    stream=_STREAM,
    measured=_MEASURED,
    since="2.0",
    searched=({}, {"op_seed": 0}, {"op_seed": 1}, {"op_seed": 42}),
)
def eager_dropout(
    query: Query,
    *,
    op_seed: int | None = None,
    global_seed: bool = True,
    noise_shape: Sequence[int | None] | None = None,
    before: Sequence[int] = (),
) -> Decision:
    """Return the mask of the `call`-th eager tf.nn.dropout after tf.random.set_seed(seed).

    op_seed      the `seed` argument; ops of one such seed and dtype share a counter.
    global_seed  false: set_seed was never called (then an op seed is needed).
    noise_shape  as the function's argument; None in it means the tensor's own size.
    before       sizes of the draws before that had other shapes: with an op seed those that share it, else all random
                 ops; `call` counts further ones.
    """
    shape = noise(query.shape, noise_shape)
    if op_seed is None:
        if not global_seed:
            raise Unpredictable(
                "with neither a global nor an op seed TensorFlow seeds itself from the system's entropy"
            )
        pair = op_seeds(query.seed, eager_op_seed(query.seed, len(before) + query.call))
        return _kept(query, shape, stateful(pair, query.dtype, 0))
    drawn = sum(before) + query.call * math.prod(shape)
    return _kept(query, shape, stateful(op_seeds(query.seed if global_seed else None, op_seed), query.dtype, drawn))


@rule("tensorflow.function", stream=_STREAM + "; op seed = number of the node", measured=_MEASURED, since="2.0")
def traced_dropout(
    query: Query,
    *,
    node: int = 0,
    op_seed: int | None = None,
    graph_ids: int | None = None,
    noise_shape: Sequence[int | None] | None = None,
    jit_compile: bool = False,
    in_loop: bool = False,
) -> Decision:
    """Return the mask of a tf.nn.dropout in a tf.function, in the `call`-th run of one trace.

    node       which unseeded random op of the function's graph it is, from 0.
    op_seed    its `seed` argument, if it has one.
    graph_ids  before 2.1: the graph's operation count (`_last_id`) before tf.nn.dropout is called with a Python rate.
    noise_shape  as the function's argument; None in it means the tensor's own size.
    """
    if jit_compile:
        raise Unpredictable(
            "XLA compiles stateful random ops with a seed of its own: use a stateless op for masks to be known"
        )
    if in_loop:
        raise Unpredictable(
            "a while loop of a graph runs iterations in parallel: stateful draws have no order across them"
        )
    if op_seed is None:
        if query.version < (2, 1):
            if graph_ids is None or noise_shape is not None:
                raise UserError(
                    "before 2.1 the op seed is the graph's operation count: give graph_ids, and no noise_shape"
                )
            op_seed = graph_ids + OPS_BEFORE_SEED
        else:
            op_seed = node
    shape = noise(query.shape, noise_shape)
    drawn = query.call * math.prod(shape)
    return _kept(query, shape, stateful(op_seeds(query.seed, op_seed), query.dtype, drawn))


@rule(
    "tensorflow.nn.experimental.stateless_dropout",
    "tensorflow.random.stateless_uniform",
    stream="Philox4x32-10, key and counter made of two seeds; kept where u >= rate",
    measured=("2.21.0",),
    since="2.4",
    searched=({}, {"seed2": 1}, {"seed2": 42}, {"xla": True}),
    repeats=True,
)
def stateless_dropout(
    query: Query, *, seed2: int = 0, noise_shape: Sequence[int | None] | None = None, xla: bool = False
) -> Decision:
    """Return the mask of a stateless dropout with seed=[seed, seed2]; every call gives the same.

    noise_shape  as the function's argument; None in it means the tensor's own size.
    xla  under jit_compile=True other bits are taken: the top 23 of a word in float32 and bfloat16, the top 52 of two
         words, low half first, in float64; float16 stays.
    """
    shape = noise(query.shape, noise_shape)
    key, counter = stateless_start(query.seed, seed2)
    if xla and query.dtype == "float64":
        return _kept(query, shape, Philox(key, counter, 52, shift=12, pair="low_first"))
    if xla and query.dtype in ("float32", "bfloat16"):
        # A bfloat16 uniform is the float32 one cut to 8 bits, and a cut value reaches a bfloat16 rate where it did uncut.
        return _kept(query, shape, Philox(key, counter, 23, shift=9))
    return _kept(query, shape, stateless_source(query.seed, seed2, query.dtype))


@rule(
    "tensorflow.random.Generator",
    stream="Philox4x32-10, counter = seed; kept where u >= rate",
    measured=("2.21.0",),
    since="2.2",
)
def generator_uniform(query: Query, *, before: Sequence[int] = ()) -> Decision:
    """Return `Generator.from_seed(seed).uniform(shape) >= rate` for the `call`-th call."""
    drawn = sum(before) + query.call * math.prod(query.shape)
    # The state is the seed as a signed 192-bit number: 128 bits of counter, then 64 of key.
    key = (query.seed >> 128) % 2**64
    counter = (query.seed + _SKIP * drawn) % 2**128
    source = Philox((key & 0xFFFFFFFF, key >> 32), counter, BITS[query.dtype], pair=_pair(query.dtype))
    return _kept(query, query.shape, source)
