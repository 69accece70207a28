"""TensorFlow 1: tf.nn.dropout in graphs and eagerly, and DropoutWrapper with its salted slot seeds.

Source: observed on TensorFlow 1.3.0 and 1.8.0. Draws as in TensorFlow 2 (rules/tensorflow2.py); an element is kept where
floor(dtype(keep_prob) + u) is 1, the sum being rounded in dtype. `rate` is 1 - keep_prob throughout.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.streams.decision import Arrange, Decision
from harness.streams.mask import Unpredictable
from harness.streams.numbers import floor_of_sum
from harness.streams.registry import Query, rule
from harness.streams.rules.tensorflow2 import OPS_BEFORE_SEED, eager_op_seed, op_seeds, refuse_rate_1, stateful
from harness.streams.shapes import noise

_MEASURED = ("1.3.0", "1.8.0")
_STREAM = "Philox4x32-10 from (seed, op seed), low bits of the words; kept where floor(keep_prob + u) is 1"


def _kept(
    query: Query, pair: tuple[int, int], drawn_before: int, shape: tuple[int, ...], arrange: Arrange | None = None
) -> Decision:
    refuse_rate_1(query)
    source = stateful(pair, query.dtype, drawn_before)
    return Decision(shape, source, floor_of_sum(source.bits, query.dtype, 1.0 - query.rate), arrange=arrange)


@rule(
    "tensorflow.nn.dropout",
    stream=_STREAM,
    measured=_MEASURED,
    since="1.0",
    before="2.0",
    dtypes=("float32", "float64", "float16"),
    searched=({"op_seed": 0}, {"op_seed": 1}, {"op_seed": 42}, {"eager": True}),
)
def dropout(
    query: Query,
    *,
    op_seed: int | None = None,
    global_seed: bool = True,
    eager: bool = False,
    graph_ids: int | None = None,
    noise_shape: Sequence[int | None] | None = None,
    before: Sequence[int] = (),
) -> Decision:
    """Return the mask of a tf.nn.dropout after tf.set_random_seed(seed).

    op_seed      its `seed` argument.
    global_seed  false: tf.set_random_seed was never called.
    eager        in eager mode (1.5 on) instead of a graph; calls of one op seed then share a counter.
    graph_ids    in a graph without an op seed: the graph's operation count (`_last_id`) before tf.nn.dropout is called.
    noise_shape  as the function's argument; None in it means the tensor's own size.
    before       sizes of earlier draws of the same op (eager: of the same op seed, or all random ops); `call` counts
                 further ones, in a graph the runs of one session.
    """
    shape = noise(query.shape, noise_shape)
    drawn = sum(before) + query.call * math.prod(shape)
    if op_seed is None:
        if not global_seed:
            raise Unpredictable(
                "with neither a global nor an op seed TensorFlow seeds itself from the system's entropy"
            )
        if eager:
            op_seed, drawn = eager_op_seed(query.seed, len(before) + query.call), 0
        elif graph_ids is None or noise_shape is not None:
            raise UserError(
                "in a graph the op seed is the graph's operation count: give op_seed, or graph_ids and no noise_shape"
            )
        else:
            op_seed = graph_ids + OPS_BEFORE_SEED
    return _kept(query, op_seeds(query.seed if global_seed else None, op_seed), drawn, shape).spread(query.shape)


_SLOTS = {"input": "input_0", "state.c": "state_0", "state.h": "state_1", "output": "output_0"}


def slot_seed(wrapper_seed: int | str, slot: str) -> int:
    """Return the op seed that DropoutWrapper(seed=wrapper_seed) gives a slot such as `state_1`."""
    digest = hashlib.md5(f"{wrapper_seed}{slot}".encode()).hexdigest()
    return int(digest[:8], 16) & 0x7FFFFFFF


@rule(
    "tensorflow.nn.rnn_cell.DropoutWrapper",
    stream=_STREAM + "; op seed = MD5 of the wrapper's seed and the slot",
    measured=_MEASURED,
    since="1.2",
    before="2.0",
    dtypes=("float32", "float64", "float16"),
    searched=tuple({"slot": slot, "variational": v} for slot in _SLOTS for v in (False, True)),
)
def dropout_wrapper(
    query: Query,
    *,
    slot: str = "output",
    wrapper_seed: int | str | None = None,
    global_seed: int | None = None,
    variational: bool = False,
    loop: str = "static",
    step: int = 0,
    steps: int = 1,
    parallel_iterations: int = 1,
) -> Decision:
    """Return the mask of one slot of DropoutWrapper(seed=seed) around an LSTM cell, at one step of one run.

    shape         (B, depth) of one step; with `variational` any shape (..., depth): one mask for all of it.
    slot          input, state.c, state.h or output; 1.8 spares c, 1.3 drops both.
    wrapper_seed  the wrapper's seed where it is no integer; else `seed` is it.
    global_seed   of tf.set_random_seed; None: not called.
    loop          static (static_rnn or a Python loop in a graph), dynamic (dynamic_rnn) or eager.
    step, steps   which step, of how many a run; static loops repeat one mask at every step.
    """
    if slot not in _SLOTS:
        raise UserError(f"unknown slot {slot!r}{did_you_mean(slot, _SLOTS)}: one of {', '.join(_SLOTS)}")
    loops = ("static", "dynamic", "eager")
    if loop not in loops:
        raise UserError(f"unknown loop {loop!r}{did_you_mean(loop, loops)}: one of {', '.join(loops)}")
    if not 0 <= step < max(steps, 1):
        raise UserError(f"step {step} is not one of {steps}; steps count from 0 and `steps` says how many a run has")
    if loop == "dynamic" and parallel_iterations != 1 and not variational:
        raise Unpredictable("dynamic_rnn runs iterations in parallel: draws have no order unless parallel_iterations=1")
    if slot == "state.c" and query.version >= (1, 4):
        # Variational 1.8 still draws a mask for c, and leaves it unused.
        said = (
            "drops h only and leaves c alone" if query.version >= (1, 8) else "is unmeasured for c between 1.3 and 1.8"
        )
        raise UserError(f"DropoutWrapper {'.'.join(map(str, query.version))} {said}")
    pair = op_seeds(global_seed, slot_seed(query.seed if wrapper_seed is None else wrapper_seed, _SLOTS[slot]))
    shape = query.shape
    if not shape:
        raise UserError("DropoutWrapper drops tensors of shape (B, depth); the shape is ()")
    if variational:
        runs = 0 if loop == "eager" else query.call
        return _kept(query, pair, runs * shape[-1], (1, shape[-1]), lambda keep: np.broadcast_to(keep[0], shape))
    earlier = query.call if loop == "static" else query.call * steps + step
    return _kept(query, pair, earlier * math.prod(shape), shape)
