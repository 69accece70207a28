"""Keras 2: tf_keras today, and TensorFlow 2.0's tf.keras; both end in tf.nn.dropout with op seeds of their own.

Source: observed on tf_keras 2.21.0 and TensorFlow 2.0.0, eagerly and in a tf.function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.streams.decision import Decision
from harness.streams.mask import Unpredictable
from harness.streams.numbers import at_least
from harness.streams.registry import Query, rule
from harness.streams.rules.tensorflow2 import eager_op_seed, op_seeds, refuse_rate_1, stateful
from harness.streams.shapes import noise

_STREAM = "Philox4x32-10 from (global seed, op seed), low bits of the words; kept where u >= rate"

_NOTE = "from 2.16 on tf.keras is Keras 3 (ask for keras.layers with backend tensorflow) or tf_keras"

_MASKS = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def _draw(
    query: Query, shape: tuple[int, ...], op_seed: int, drawn_before: int = 0, global_seed: bool = True, dtype: str = ""
) -> Decision:
    refuse_rate_1(query)
    source = stateful(op_seeds(query.seed if global_seed else None, op_seed), dtype or query.dtype, drawn_before)
    return Decision(shape, source, at_least(source.bits, dtype or query.dtype, query.rate))


def _op_seed(query: Query, k: int, layer_seed: int | None, traced: bool, global_seed: bool) -> int:
    """Return the op seed of the k-th draw since seeding: eager op seeds, node numbers, or layer seed + k."""
    if layer_seed is not None:
        return layer_seed + k
    if not global_seed:
        raise Unpredictable("with neither a global nor a layer seed TensorFlow seeds itself from the system's entropy")
    return k if traced else eager_op_seed(query.seed, k)


@rule(
    "tf_keras.layers.Dropout",
    "tf_keras.layers.SpatialDropout1D",
    "tf_keras.layers.SpatialDropout2D",
    "tf_keras.layers.SpatialDropout3D",
    "tf_keras.layers.AlphaDropout",
    stream=_STREAM,
    measured=("2.21.0",),
    since="2.15",
)
def dropout(
    query: Query,
    *,
    layer_seed: int | None = None,
    global_seed: bool = True,
    noise_shape: Sequence[int | None] | None = None,
    traced: bool = False,
    ops_before: int = 0,
) -> Decision:
    """Return the mask of a layer's `call`-th call after tf.random.set_seed(seed), which is not the layer's own seed.

    layer_seed   the layer's seed: its op seeds are layer_seed, layer_seed + 1 ... a call.
    global_seed  false: set_seed was never called (then a layer seed is needed).
    noise_shape  as the layer's argument.
    traced       in a tf.function: the op seed is frozen when it is traced, and calls go on with one counter.
    ops_before   eager: random ops run since set_seed (with a layer seed: draws of this layer) before the first call that
                 `call` counts; traced: the op's number among the function's unseeded random ops.
    """
    shape = query.shape
    if "Spatial" in query.like:
        inner = int(query.like[-2])
        if len(shape) != inner + 2:
            raise UserError(f"{query.like} needs {inner + 2} dimensions; the shape is {shape}")
        shape = (shape[0], *[1] * inner, shape[-1])
    elif noise_shape is not None:
        shape = noise(shape, noise_shape)
    if query.rate == 0.0 or (query.rate == 1.0 and query.like.endswith("AlphaDropout")):
        return Decision(query.shape)  # AlphaDropout leaves its input alone at rate 1 too
    dtype = "float32" if query.like.endswith("AlphaDropout") else query.dtype
    k, drawn = (ops_before, query.call * math.prod(shape)) if traced else (ops_before + query.call, 0)
    op_seed = _op_seed(query, k, layer_seed, traced, global_seed)
    return _draw(query, shape, op_seed, drawn, global_seed, dtype).spread(query.shape)


def _mask_number(query: Query, site: str, gate: int, path: str, input_dropout: bool, recurrent_dropout: bool) -> int:
    """Return which draw of a call a recurrent layer's mask is; raises UserError for a mask that it hasn't got."""
    sites, paths = ("input", "state.h"), ("fused", "cell")
    if site not in sites:
        raise UserError(f"unknown site {site!r}{did_you_mean(site, sites)}: input or state.h")
    if path not in paths:
        raise UserError(f"unknown path {path!r}{did_you_mean(path, paths)}: fused or cell")
    masks = _MASKS[query.like.rpartition(".")[2]]
    if path == "fused" and (site != "input" or recurrent_dropout or masks == 1):
        raise UserError("the fused path has input dropout alone, and SimpleRNN has no such path: give path='cell'")
    if path == "fused" and gate:
        raise UserError("the fused path draws a mask for each gate and uses the first alone: gate 0")
    if (site == "input" and not input_dropout) or (site == "state.h" and not recurrent_dropout):
        raise UserError(f"the site {site} needs {'input_dropout' if site == 'input' else 'recurrent_dropout'}=True")
    if not 0 <= gate < masks:
        raise UserError(f"gate {gate}: this layer draws {masks} mask(s) a site, counted from 0")
    each = masks * (input_dropout + recurrent_dropout)
    return query.call * each + gate + (masks if site == "state.h" and input_dropout else 0)


def _recurrent_shape(query: Query, path: str) -> tuple[int, ...]:
    if path == "fused" or len(query.shape) < 3:
        return query.shape
    return (query.shape[0], query.shape[-1])


def _over_time(decision: Decision, shape: tuple[int, ...]) -> Decision:
    if decision.drawn == shape:
        return decision
    return decision.spread_as((shape[0], *[1] * (len(shape) - 2), shape[-1]), shape)


@rule(
    "tf_keras.layers.LSTM",
    "tf_keras.layers.GRU",
    "tf_keras.layers.SimpleRNN",
    stream=_STREAM,
    measured=("2.21.0",),
    since="2.15",
)
def recurrent(
    query: Query,
    *,
    site: str = "input",
    gate: int = 0,
    path: str = "fused",
    input_dropout: bool = True,
    recurrent_dropout: bool = False,
    layer_seed: int | None = None,
    traced: bool = False,
    ops_before: int = 0,
) -> Decision:
    """Return a mask of the `call`-th training call, run eagerly, after tf.random.set_seed(seed).

    path        fused: the default (tanh and sigmoid, no recurrent dropout, biased, not unrolled), with masks (B, T, D)
                anew at every step; cell: every other, with masks (B, D) and (B, units) for all steps.
    layer_seed  LSTM(seed=...) and GRU(seed=...): it reaches the fused path alone.
    traced      in a tf.function; the cell path then draws anew at every step, in no order.
    ops_before  random ops run since set_seed before the first call that `call` counts.
    Other options as for keras.layers.LSTM; here every gate has a mask of its own, always.
    """
    if traced and path == "cell":
        raise Unpredictable("in a tf.function the cell path draws inside a while loop, whose iterations have no order")
    number = _mask_number(query, site, gate, path, input_dropout, recurrent_dropout)
    shape = _recurrent_shape(query, path)
    seed = layer_seed if path == "fused" else None
    if traced:
        # Each gate's draw is a node of its own; a further call goes on with the node's counter.
        op_seed = _op_seed(query, ops_before + gate, seed, True, True)
        return _draw(query, shape, op_seed, query.call * math.prod(shape))
    return _over_time(_draw(query, shape, _op_seed(query, ops_before + number, seed, False, True)), query.shape)


@rule(
    "tensorflow.keras.layers.Dropout",
    stream=_STREAM,
    measured=("2.0.0",),
    since="2.0",
    before="2.7",
    note=_NOTE,
)
def dropout_of_2_0(query: Query, *, layer_seed: int | None = None, ops_before: int = 0) -> Decision:
    """Return the mask of TF 2.0's Dropout layer, called eagerly after tf.random.set_seed(seed).

    layer_seed  the layer's seed: every call has this op seed and goes on with one counter.
    ops_before  without it: random ops run since set_seed before the first call that `call` counts.
    """
    if query.rate == 0.0:
        return Decision(query.shape)
    if layer_seed is not None:
        return _draw(query, query.shape, layer_seed, query.call * math.prod(query.shape))
    return _draw(query, query.shape, eager_op_seed(query.seed, ops_before + query.call))


@rule(
    "tensorflow.keras.layers.LSTM",
    "tensorflow.keras.layers.GRU",
    "tensorflow.keras.layers.SimpleRNN",
    stream=_STREAM + "; op seeds from numpy.random.randint(10e6)",
    measured=("2.0.0",),
    since="2.0",
    before="2.7",
    note=_NOTE,
)
def recurrent_of_2_0(
    query: Query,
    *,
    numpy_seed: int | None = None,
    site: str = "input",
    gate: int = 0,
    path: str = "fused",
    input_dropout: bool = True,
    recurrent_dropout: bool = False,
    draws_before: int = 0,
) -> Decision:
    """Return a mask of the `call`-th training call in TF 2.0, run eagerly, after tf.random.set_seed(seed).

    numpy_seed    of numpy.random.seed: each mask's op seed is the next numpy.random.randint(10e6).
    draws_before  such numbers taken before the first call that `call` counts.
    Other options as for tf_keras.layers.LSTM.
    """
    if numpy_seed is None:
        raise UserError("TF 2.0 takes op seeds of recurrent dropout from numpy.random: give the option numpy_seed")
    number = draws_before + _mask_number(query, site, gate, path, input_dropout, recurrent_dropout)
    op_seed = int(np.random.RandomState(numpy_seed & 0xFFFFFFFF).randint(10_000_000, size=number + 1)[-1])
    return _over_time(_draw(query, _recurrent_shape(query, path), op_seed), query.shape)
