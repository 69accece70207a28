"""Flax NNX: nnx.Dropout, whose stream of keys is a counter folded into a key.

Source: observed on Flax 0.12.8; https://flax.readthedocs.io/en/latest/guides/randomness.html.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UserError, did_you_mean
from harness.streams.decision import Decision
from harness.streams.keys import key_of
from harness.streams.registry import Query, rule
from harness.streams.rules.jax_random import STREAM, bernoulli
from harness.streams.shapes import shared


@rule("flax.nnx.Dropout", stream=STREAM + "; key by fold_in of counters", measured=("0.12.8",), since="0.12")
def nnx_dropout(
    query: Query,
    *,
    rngs: str = "constructor",
    user: int = 0,
    broadcast_dims: Sequence[int] = (),
    impl: str = "threefry2x32",
    partitionable: bool = True,
    x64: bool = False,
) -> Decision:
    """Return the mask of the `call`-th call of nnx.Dropout with Rngs(seed).

    rngs            constructor: the layer got Rngs when it was made; call: Rngs given at each call, `call` being the
                    running count of its stream; key: a bare key, the same mask at every call.
    user            with `constructor`: how many keys the stream had given out before this layer was made (each Dropout
                    takes one; so do other layers where the stream is the default one).
    broadcast_dims  axes that share one decision.
    """
    keys = ("constructor", "call", "key")
    if rngs not in keys:
        raise UserError(f"unknown rngs {rngs!r}{did_you_mean(rngs, keys)}: one of {', '.join(keys)}")
    if query.rate in (0.0, 1.0):
        return Decision(query.shape, constant=query.rate == 0.0)
    key = key_of(query.seed, impl, partitionable, x64)
    if rngs == "constructor":
        key = key.fold_in(user).fold_in(query.call)
    elif rngs == "call":
        key = key.fold_in(query.call)
    # p is a Python number: its dtype is float32, or float64 with x64, whatever the tensor's is.
    decision = bernoulli(key, 1.0 - query.rate, "float64" if x64 else "float32", shared(query.shape, broadcast_dims))
    return decision.spread(query.shape)
