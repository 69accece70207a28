"""Equinox: eqx.nn.Dropout, bernoulli with the key as it is given.

Source: observed on Equinox 0.13.8; https://docs.kidger.site/equinox/api/nn/dropout/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.streams.decision import Decision
from harness.streams.keys import key_of
from harness.streams.registry import Query, rule
from harness.streams.rules.jax_random import STREAM, bernoulli, follow


@rule("equinox.nn.Dropout", stream=STREAM, measured=("0.13.8",), since="0.10", repeats=True)
def equinox_dropout(
    query: Query,
    *,
    impl: str = "threefry2x32",
    partitionable: bool = True,
    x64: bool = False,
    path: Sequence[Sequence[Any]] = (),
) -> Decision:
    """Return the mask of eqx.nn.Dropout(rate)(x, key=jax.random.key(seed)); every call with one key gives the same.

    path  how the key came from jax.random.key(seed): ("split", num, index) and ("fold_in", data) steps.
    """
    if query.rate == 0.0:
        return Decision(query.shape)
    key = follow(key_of(query.seed, impl, partitionable, x64), path)
    return bernoulli(key, 1.0 - query.rate, "float64" if x64 else "float32", query.shape)
