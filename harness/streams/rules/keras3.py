"""Keras 3 on its four backends: Dropout, the spatial dropouts, AlphaDropout, and the masks of LSTM, GRU and SimpleRNN.

Source: observed on Keras 3.15.1; https://keras.io/api/random/seed_generator/. A layer's SeedGenerator holds [seed, k]
and k rises by one a draw; each backend makes another stream of the pair, so one seed gives four different masks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.streams import mt19937
from harness.streams.decision import Decision
from harness.streams.keys import Key
from harness.streams.numbers import at_least
from harness.streams.registry import Query, rule
from harness.streams.rules import tensorflow2, torch_cpu
from harness.streams.rules.jax_random import bernoulli
from harness.streams.shapes import noise
from harness.streams.sources import Computed, Levels, Mersenne, Philox, Source, threshold

BACKENDS = ("tensorflow", "torch", "jax", "numpy")

_MEASURED = ("3.15.1",)
_STREAM = (
    "SeedGenerator [seed, k]: stateless Philox4x32-10 on TensorFlow, MT19937 of seed + k on torch, Threefry2x32 with the "
    "pair as key on JAX, PCG64 of the pair on NumPy"
)
_SPANS = {"torch": (-(2**31), 2**31 - 1), "jax": (0, 2**32 - 1), "numpy": (0, 2**32 - 1)}


def pcg64(seed: Sequence[int]) -> Source:
    """Return the doubles of numpy.random.default_rng(seed) as levels of 53 bits."""
    state: list[np.random.Generator] = []

    def levels(start: int, stop: int) -> Levels:
        if start == 0:
            state[:] = [np.random.default_rng(list(seed))]
        raw: Levels = np.asarray(state[0].bit_generator.random_raw(stop - start), dtype=np.uint64)
        return raw >> np.uint64(11)

    return Computed(53, levels, random_access=False)


def seed_span(backend: str, seed: int) -> None:
    """Raise UserError for a seed that Keras refuses on a backend."""
    low, high = _SPANS.get(backend, (-(2**63), 2**63 - 1))
    if not low <= seed <= high:
        raise UserError(f"Keras on {backend} takes seeds from {low} to {high}; this one is {seed}")


def draw(query: Query, shape: tuple[int, ...], seed: int, k: int, xla: bool, x64: bool) -> Decision:
    """Return the k-th dropout decision of SeedGenerator(seed) on the query's backend."""
    seed_span(query.backend, seed)
    keep = 1.0 - query.rate
    if query.backend == "tensorflow":
        stateless = Query(query.like, query.version, reduced_seed(seed), shape, query.rate, query.dtype)
        return tensorflow2.stateless_dropout(stateless, seed2=k, xla=xla)
    if query.backend == "torch":
        source = Mersenne(lambda: mt19937.Stream(seed + k), 24)
        return Decision(shape, source, at_least(24, "float32", keep), keep_high=False)
    if query.backend == "jax":
        return bernoulli(Key((seed, k)), keep, "float64" if x64 else "float32", shape)
    return Decision(shape, pcg64((seed, k)), math.ceil(keep * 2**53), keep_high=False)


def reduced_seed(seed: int) -> int:
    """Return a seed as the TensorFlow backend brings it into 32 bits."""
    return seed % (2**31 - 2)


def layer_seed(global_seed: int, layer: int) -> int:
    """Return the seed of the `layer`-th layer made without one after keras.utils.set_random_seed(global_seed)."""
    generator = random.Random(global_seed)
    for _ in range(layer):
        generator.randint(1, 10**9)
    return generator.randint(1, 10**9)


def _drawn(query: Query, shape: tuple[int, ...], k: int, seeded: bool, layer: int, xla: bool, x64: bool) -> Decision:
    if query.rate in (0.0, 1.0):
        return Decision(shape, constant=query.rate == 0.0)
    if seeded:
        return draw(query, shape, query.seed, k, xla, x64)
    if query.backend == "torch" and shape == query.shape:
        # Without a seed of its own the layer calls torch's dropout, which draws from the global generator.
        global_stream = Query("torch.nn.Dropout", (2, 7), query.seed, shape, query.rate, query.dtype, k)
        return torch_cpu.dropout(global_stream)
    return draw(query, shape, layer_seed(query.seed, layer), k, xla, x64)


@rule("keras.layers.Dropout", stream=_STREAM, measured=_MEASURED, backends=BACKENDS, since="3.0")
def dropout(
    query: Query,
    *,
    noise_shape: Sequence[int | None] | None = None,
    seeded: bool = True,
    layer: int = 0,
    draws_before: int = 0,
    xla: bool = False,
    x64: bool = False,
) -> Decision:
    """Return the mask of the `call`-th call of Dropout(rate, seed=seed).

    noise_shape   as the layer's argument; None in it means the tensor's own size.
    seeded        false: the layer has no seed, and keras.utils.set_random_seed(seed) was called; it is then the
                  `layer`-th such layer made (from 0). On torch all unseeded layers share torch's generator: `call`
                  counts their draws together.
    draws_before  draws that the layer's SeedGenerator has made before; `call` counts further ones.
    xla           on TensorFlow, under jit_compile.
    x64           on JAX, with jax_enable_x64.
    """
    shape = noise(query.shape, noise_shape)
    return _drawn(query, shape, draws_before + query.call, seeded, layer, xla, x64).spread(query.shape)


@rule(
    "keras.layers.SpatialDropout1D",
    "keras.layers.SpatialDropout2D",
    "keras.layers.SpatialDropout3D",
    stream=_STREAM + "; one draw a channel",
    measured=_MEASURED,
    backends=BACKENDS,
    since="3.0",
)
def spatial(
    query: Query,
    *,
    channels_first: bool = False,
    seeded: bool = True,
    layer: int = 0,
    draws_before: int = 0,
    xla: bool = False,
    x64: bool = False,
) -> Decision:
    """Return the mask of a spatial dropout; options as for keras.layers.Dropout."""
    inner = int(query.like[-2])
    if len(query.shape) != inner + 2:
        raise UserError(f"{query.like} needs {inner + 2} dimensions; the shape is {query.shape}")
    batch, last = query.shape[0], query.shape[-1]
    shape = (batch, query.shape[1], *[1] * inner) if channels_first else (batch, *[1] * inner, last)
    return _drawn(query, shape, draws_before + query.call, seeded, layer, xla, x64).spread(query.shape)


@rule(
    "keras.layers.AlphaDropout",
    stream=_STREAM + "; kept where u >= rate",
    measured=_MEASURED,
    backends=BACKENDS,
    since="3.0",
)
def alpha(query: Query, *, draws_before: int = 0, xla: bool = False, x64: bool = False) -> Decision:
    """Return the mask of AlphaDropout(rate, seed=seed): a float32 uniform whatever the tensor's dtype.

    Options as for keras.layers.Dropout; noise_shape and unseeded layers were not measured.
    """
    if query.rate == 0.0:
        return Decision(query.shape)
    if query.rate == 1.0:
        raise UserError(f"{query.like} refuses rate 1: it takes rates in [0, 1)")
    k, rate, shape = draws_before + query.call, query.rate, query.shape
    seed_span(query.backend, query.seed)
    if query.backend == "tensorflow":
        key, counter = tensorflow2.stateless_start(reduced_seed(query.seed), k)
        source: Source = Philox(key, counter, 23, shift=9 if xla else 0)
    elif query.backend == "torch":
        source = Mersenne(lambda: mt19937.Stream(query.seed + k), 24)
    elif query.backend == "jax":
        source = Key((query.seed, k)).source(32, 23, math.prod(shape))
    else:
        # A double rounded to float32.
        bound = np.float32(rate)
        rounded: Callable[[int], bool] = lambda level: bool(np.float32(level * 2.0**-53) >= bound)  # noqa: E731
        return Decision(shape, pcg64((query.seed, k)), threshold(53, rounded))
    return Decision(shape, source, at_least(source.bits, "float32", rate))


_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


@rule(
    "keras.layers.LSTM",
    "keras.layers.GRU",
    "keras.layers.SimpleRNN",
    stream=_STREAM,
    measured=_MEASURED,
    backends=BACKENDS,
    since="3.0",
)
def recurrent(
    query: Query,
    *,
    site: str = "input",
    gate: int = 0,
    input_dropout: bool = True,
    recurrent_dropout: bool = False,
    draws_before: int = 0,
    xla: bool = False,
    x64: bool = False,
) -> Decision:
    """Return a mask of the `call`-th training call of a recurrent layer with seed=seed: one for all its steps.

    shape              (B, D) at `input`, (B, units) at `state.h`; with more axes, (B, T, ...), the mask is repeated in time.
    site               input (`dropout`) or state.h (`recurrent_dropout`).
    gate               which of the masks: with recurrent_dropout there are 4 (LSTM: i, f, c, o), 3 (GRU: z, r, h) or 1
                       a site; without it one for all gates.
    input_dropout      whether the layer has dropout > 0.
    recurrent_dropout  whether it has recurrent_dropout > 0.
    draws_before       draws made before, by inference calls for example; `call` counts further training calls.
    """
    sites = ("input", "state.h")
    if site not in sites:
        raise UserError(f"unknown site {site!r}{did_you_mean(site, sites)}: input or state.h")
    if (site == "input" and not input_dropout) or (site == "state.h" and not recurrent_dropout):
        raise UserError(f"the site {site} needs {'input_dropout' if site == 'input' else 'recurrent_dropout'}=True")
    masks = _GATES[query.like.rpartition(".")[2]] if recurrent_dropout else 1
    if not 0 <= gate < masks:
        raise UserError(f"gate {gate}: this layer draws {masks} mask(s) a site, counted from 0")
    if query.rate in (0.0, 1.0):
        raise UserError("a recurrent layer with rate 0 or 1 draws nothing at that site")
    each = masks * (input_dropout + recurrent_dropout)
    k = draws_before + query.call * each + gate + (masks if site == "state.h" and input_dropout else 0)
    shape = (query.shape[0], query.shape[-1]) if len(query.shape) > 2 else query.shape
    decision = draw(query, shape, query.seed, k, xla, x64)
    if shape == query.shape:
        return decision
    middle = (1,) * (len(query.shape) - 2)
    return decision.spread_as((shape[0], *middle, shape[1]), query.shape)
