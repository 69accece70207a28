"""Flax Linen: linen.Dropout, whose keys come from a hash of the module's path.

Source: observed on Flax 0.12.8; https://flax-linen.readthedocs.io/en/latest/guides/flax_fundamentals/rng_guide.html.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from harness.streams.decision import Decision
from harness.streams.keys import key_of
from harness.streams.registry import Query, rule
from harness.streams.rules.jax_random import STREAM, bernoulli
from harness.streams.shapes import shared


def path_word(path: Sequence[str], count: int, separator: bool = False) -> int:
    """Return what Linen folds into its key: four bytes of a hash of the module path and a counter from 1 on."""
    digest = hashlib.sha1()
    for part in path:
        digest.update((b"\0" if separator else b"") + part.encode())
    size = (count.bit_length() + 7) // 8
    digest.update((b"\0" if separator else b"") + count.to_bytes(size, "big"))
    return int.from_bytes(digest.digest()[:4], "big")


@rule(
    "flax.linen.Dropout",
    stream=STREAM + "; key by fold_in of a hash of the module path",
    measured=("0.12.8",),
    since="0.8",
    note="nn.jit and nn.remat add a scope of their own to the path",
)
def linen_dropout(
    query: Query,
    *,
    path: Sequence[str] = (),
    separator: bool = False,
    broadcast_dims: Sequence[int] = (),
    impl: str = "threefry2x32",
    partitionable: bool = True,
    x64: bool = False,
) -> Decision:
    """Return the mask of the `call`-th call in one apply(..., rngs={"dropout": jax.random.key(seed)}).

    path            names from the top module down, e.g. ("Sub_0", "Dropout_0"); () for a Dropout that is the top.
    separator       flax_fix_rng_separator.
    broadcast_dims  axes that share one decision.
    """
    if query.rate in (0.0, 1.0):
        return Decision(query.shape, constant=query.rate == 0.0)
    key = key_of(query.seed, impl, partitionable, x64).fold_in(path_word(path, query.call + 1, separator))
    decision = bernoulli(key, 1.0 - query.rate, "float64" if x64 else "float32", shared(query.shape, broadcast_dims))
    return decision.spread(query.shape)
