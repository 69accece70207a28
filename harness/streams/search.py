"""`find`: which stream, seed, call and rate give a mask."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.streams import accelerate
from harness.streams.decision import CHUNK, Decision
from harness.streams.mask import Bools
from harness.streams.numbers import scalar
from harness.streams.registry import Query, Rule, canonical, known, lookup, version_of

#: Elements compared first; a chance match gets past them once in about 2**64 / 65 trials.
_PREFIX = 64

#: Rate tried where none is known; levels don't depend on it.
_NOMINAL = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """One explanation of a mask.

    rate       a rate that gives the mask, the roundest there is.
    rate_span  about the lowest and highest rate that give it; equal where the rate was given.
    options    of the rule, as for `predict`.
    also       other APIs that draw the same.
    """

    like: str
    version: str
    seed: int
    call: int
    rate: float
    rate_span: tuple[float, float]
    dtype: str
    backend: str
    options: dict[str, Any]
    stream: str
    confirmed: bool
    also: tuple[str, ...]

    def __str__(self) -> str:
        backend = f" on {self.backend}" if self.backend else ""
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        doubt = "" if self.confirmed else " (rule unconfirmed)"
        return f"{self.like} {self.version}{backend}: seed={self.seed}, call={self.call}, rate={self.rate:g}{options}{doubt}"


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    found     explanations, each compared with the whole mask.
    tried     combinations of stream, seed and call compared.
    by_chance probability that at least one of them would match a mask of these counts that has nothing to do with it
              (at most; the mask's elements taken as independent).
    """

    found: tuple[Found, ...]
    tried: int
    by_chance: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: Rule
    query: Query
    options: dict[str, Any]
    target: Bools  # the mask in the order of drawing


def find(
    mask: npt.ArrayLike,
    rate: float | None = None,
    seeds: Iterable[int] = range(1000),
    calls: Iterable[int] = range(3),
    like: str | Sequence[str] | None = None,
    version: str | None = None,
    backend: str | None = None,
    dtypes: Sequence[str] = ("float32",),
    limit: int = 16,
    **options: Any,
) -> Search:
    """Return which streams give a mask, or a search that found none.

    mask      the mask, or the dropped tensor itself where its input has no zero: what is not zero was kept.
    rate      probability of dropping; None: read off the mask, where the stream allows.
    seeds     seeds to try. calls: calls since seeding to try, from 0.
    like      only these APIs (default: every rule); `version`, `backend` and `options` narrow them as for `predict`.
    dtypes    dtypes to try.
    limit     stop after so many explanations.

    Raises UserError for a mask that keeps all or drops all: every stream gives that at some rate.
    """
    keep = np.asarray(mask) != 0
    dropped = int(keep.size - np.count_nonzero(keep))
    if dropped in (0, keep.size):
        raise UserError("a mask that keeps everything or drops everything says nothing about its stream")
    if rate is not None and not 0.0 < rate < 1.0:
        raise UserError(f"rate {rate} draws nothing: it must lie between 0 and 1")
    for dtype in dtypes:
        scalar(dtype)
    seeds = seeds if isinstance(seeds, Sequence) else list(seeds)
    calls = calls if isinstance(calls, Sequence) else list(calls)
    candidates = list(_candidates(keep, rate, like, version, backend, dtypes, options))
    # Compiled kernels have little overhead a call, which is what counts here.
    accelerate.prepare(len(seeds) * len(calls) * len(candidates) * _PREFIX)
    found: list[Found] = []
    tried, expected = 0, 0.0
    for candidate in candidates:
        share = _chance(candidate.target, rate)
        for seed in seeds:
            for call in calls[:1] if candidate.rule.repeats else calls:
                tried, expected = tried + 1, expected + share
                hit = _try(candidate, seed, call, rate)
                if hit is not None:
                    found.append(hit)
                if len(found) >= limit:
                    return Search(tuple(found), tried, min(1.0, expected))
    return Search(tuple(found), tried, min(1.0, expected))


def _chance(target: Bools, rate: float | None) -> float:
    """Probability that an unrelated stream gives a mask: of these decisions at a rate, or of this order at any."""
    count = target.size
    kept = int(np.count_nonzero(target))
    if rate is not None:
        return math.exp((count - kept) * math.log(rate) + kept * math.log1p(-rate))
    return math.exp(math.lgamma(kept + 1) + math.lgamma(count - kept + 1) - math.lgamma(count + 1))


def _candidates(
    keep: Bools,
    rate: float | None,
    like: str | Sequence[str] | None,
    version: str | None,
    backend: str | None,
    dtypes: Sequence[str],
    options: dict[str, Any],
) -> Iterator[_Candidate]:
    """Yield every rule, variant and dtype that could make a mask of this shape."""
    names = [like] if isinstance(like, str) else like
    refused: UserError | None = None
    asked_any = False
    for rule, name, chosen in _rules(names, version, backend):
        if rule.kind != "mask" and not names:
            continue
        for variant in rule.searched:
            if version is not None and "version" in variant:
                continue
            settings = {**variant, **options}
            numbers = version_of(settings.pop("version", version) or (rule.measured[-1] if rule.measured else "0"))
            if not rule.accepts(numbers):
                numbers = rule.since
            for dtype in dtypes:
                if dtype not in rule.dtypes:
                    continue
                query = Query(name, numbers, 0, keep.shape, rate or _NOMINAL, dtype, 0, chosen)
                try:
                    decision = rule.decide(query, settings)
                except UserError as error:
                    refused = error  # this API has no mask of such a shape, or needs to be told more
                    continue
                asked_any = True
                target = _drawn_order(keep, decision)
                if target is not None and decision.source is not None and (decision.graded or rate is not None):
                    yield _Candidate(rule, query, settings, target)
    if refused is not None and not asked_any and names:
        raise refused


def _rules(names: Sequence[str] | None, version: str | None, backend: str | None) -> Iterator[tuple[Rule, str, str]]:
    """Yield rules to try, each once for each backend, with the API name to report."""
    if names is not None:
        for name in names:
            backends = [backend] if backend is not None else sorted({b for r in _named(name) for b in r.backends})
            for each in backends:
                rules = [lookup(name, version, each)[0]] if version else [r for r in _named(name) if each in r.backends]
                yield from ((rule, canonical(name), each) for rule in rules)
        return
    seen: set[int] = set()
    for rules in known().values():
        for rule in rules:
            if id(rule) in seen or (version is not None and not rule.accepts(version_of(version))):
                continue
            seen.add(id(rule))
            yield from ((rule, rule.likes[0], each) for each in rule.backends if backend in (None, each))


def _named(name: str) -> list[Rule]:
    rules = known().get(canonical(name))
    if not rules:
        lookup(name, None, None)  # raises, with what is near
    return rules or []


def _drawn_order(keep: Bools, decision: Decision) -> Bools | None:
    """Return a mask's decisions in the order of drawing, or None where the mask doesn't have the decision's structure."""
    if decision.arrange is None:
        return keep.reshape(-1)
    index = np.asarray(decision.arrange(np.arange(decision.count).reshape(decision.drawn)))
    if index.shape != keep.shape:
        return None
    drawn = np.zeros(decision.count, dtype=np.bool_)
    drawn[index] = keep
    return drawn if np.array_equal(drawn[index], keep) else None


def _try(candidate: _Candidate, seed: int, call: int, rate: float | None) -> Found | None:
    query = replace(candidate.query, seed=seed, call=call)
    try:
        decision = candidate.rule.decide(query, candidate.options)
    except UserError:
        return None  # a seed that this API refuses
    span = _span(decision, candidate.target, rate)
    if span is None:
        return None
    given = rate if rate is not None else _roundest(candidate, query, span)
    if given is None:
        return None
    source = decision.source
    assert source is not None
    scale = 2.0**source.bits
    low, high = (span[0] - 1) / scale, span[1] / scale
    rates = (low, high) if decision.keep_high else (1.0 - high, 1.0 - low)
    return Found(
        like=query.like,
        version=".".join(map(str, query.version)),
        seed=seed,
        call=call,
        rate=given,
        rate_span=rates if rate is None else (rate, rate),
        dtype=query.dtype,
        backend=query.backend,
        options=candidate.options,
        stream=decision.stream or candidate.rule.stream,
        confirmed=candidate.rule.confirmed,
        also=tuple(name for name in candidate.rule.likes if name != query.like),
    )


def _span(decision: Decision, target: Bools, rate: float | None) -> tuple[int, int] | None:
    """Return the least and the greatest threshold that give the mask; None where no threshold does (or not the rate's)."""
    source = decision.source
    assert source is not None
    least, greatest = 0, 1 << source.bits
    start, stop = 0, min(_PREFIX, target.size)
    while start < target.size:
        levels, wanted = source.levels(start, stop), target[start:stop]
        if rate is not None:
            out = np.empty(stop - start, dtype=np.bool_)
            decision.decide(levels, out)
            if not np.array_equal(out, wanted):
                return None
        else:
            # Below the threshold lies what is dropped (keep_high) or kept.
            below, above = (
                (levels[~wanted], levels[wanted]) if decision.keep_high else (levels[wanted], levels[~wanted])
            )
            least = max(least, int(below.max()) + 1) if below.size else least
            greatest = min(greatest, int(above.min())) if above.size else greatest
            if least > greatest:
                return None
        start, stop = stop, min(stop + CHUNK, target.size)
    return (decision.threshold, decision.threshold) if rate is not None else (least, greatest)


def _roundest(candidate: _Candidate, query: Query, span: tuple[int, int]) -> float | None:
    """Return the rate with the fewest digits whose threshold lies in a span."""

    def threshold(rate: float) -> int:
        return int(candidate.rule.decide(replace(query, rate=rate), candidate.options).threshold)

    rising = threshold(0.75) > threshold(0.25)
    for digits in range(1, 8):
        # Thresholds are monotone in the rate, so bisect over the rates of so many digits.
        low, high = 1, 10**digits - 1
        while low <= high:
            middle = (low + high) // 2
            rate: float = middle / 10**digits
            at = threshold(rate)
            if span[0] <= at <= span[1]:
                return rate
            if (at < span[0]) == rising:
                low = middle + 1
            else:
                high = middle - 1
    return None
