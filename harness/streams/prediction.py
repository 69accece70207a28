"""`predict`: the mask that a framework draws, from the seed alone."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from harness.errors import Problem, UserError
from harness.streams.decision import Decision
from harness.streams.mask import Mask
from harness.streams.normals import Noise
from harness.streams.numbers import scalar
from harness.streams.registry import Query, Rule, canonical, lookup


def predict(
    like: str,
    version: str | None = None,
    seed: int = 0,
    shape: Sequence[int] = (),
    rate: float = 0.5,
    dtype: str = "float32",
    call: int = 0,
    backend: str | None = None,
    **options: Any,
) -> Mask:
    """Return the mask that `like` draws.

    like     the API by its import name, e.g. `torch.nn.Dropout`, `tf.nn.dropout`, `keras.layers.LSTM`.
    version  of the framework that `like` belongs to; None: the newest that the rule was measured on.
    seed     what the framework's seeding function, or the layer, is given.
    shape    of the tensor that is dropped.
    rate     probability of dropping an element.
    dtype    of that tensor (of the probability where the rule says so).
    call     which call since seeding, from 0.
    backend  Keras's backend: tensorflow, torch, jax or numpy.
    options  the rule's own; see docs/streams.md.

    Raises Unpredictable where the stream makes no promise, and UserError for what no rule covers.
    """
    rule, query = ask(like, version, seed, shape, rate, dtype, call, backend)
    return labelled(rule, query, rule.decide(query, options))


def predict_normal(
    like: str,
    version: str | None = None,
    seed: int = 0,
    shape: Sequence[int] = (),
    dtype: str = "float32",
    call: int = 0,
    backend: str | None = None,
    **options: Any,
) -> Noise:
    """Return the standard normals that `like` draws (torch.randn, tf.random.normal, jax.random.normal, Keras's noise).

    Arguments as for `predict`. The values are promised to `ulps` units in the last place, not to the bit.
    """
    rule, query = ask(like, version, seed, shape, 0.5, dtype, call, backend)
    drawn = rule.normals(query, options)
    name = ".".join(str(part) for part in query.version)
    return Noise(drawn.values, drawn.ulps, query.like, name, rule.stream, rule.name, rule.measured)


def ask(
    like: str,
    version: str | None,
    seed: int,
    shape: Sequence[int],
    rate: float,
    dtype: str,
    call: int,
    backend: str | None,
) -> tuple[Rule, Query]:
    """Check the arguments, find the rule and say what it is asked, without drawing anything yet."""
    problems = list(_problems(shape, rate, call, seed))
    if problems:
        raise UserError(problems)
    scalar(dtype)
    rule, numbers, chosen = lookup(like, version, backend)
    if dtype not in rule.dtypes:
        raise UserError(f"{like} has no dtype {dtype}: {', '.join(rule.dtypes)}")
    query = Query(
        canonical(like), numbers, int(seed), tuple(int(n) for n in shape), float(rate), dtype, int(call), chosen
    )
    return rule, query


def labelled(rule: Rule, query: Query, decision: Decision) -> Mask:
    """Draw a decision's mask and say where it comes from."""
    try:
        keep = decision.mask()
    except MemoryError:
        raise UserError(f"a mask of shape {query.shape} does not fit in memory") from None
    return Mask(
        keep=keep,
        like=query.like,
        version=".".join(str(part) for part in query.version),
        stream=decision.stream or rule.stream,
        rule=rule.name,
        confirmed=rule.confirmed,
        measured=rule.measured,
        note=rule.note,
    )


def _problems(shape: Sequence[int], rate: float, call: int, seed: int) -> list[Problem]:
    found = []
    if any(int(size) != size or size < 0 for size in shape):
        found.append(Problem(f"shape {tuple(shape)} has a size that is not a whole number from 0 on"))
    elif math.prod(int(size) for size in shape) > sys.maxsize:
        found.append(Problem(f"shape {tuple(shape)} has more elements than can be counted"))
    if not 0.0 <= rate <= 1.0:
        found.append(Problem(f"rate {rate} is not a probability: it is the share dropped, from 0 to 1"))
    if call < 0:
        found.append(Problem(f"call {call}: calls count from 0"))
    if int(seed) != seed:
        found.append(Problem(f"seed {seed} is not a whole number"))
    return found
