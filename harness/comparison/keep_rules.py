"""What a user's code means by its draws, measured: the reading under which the reference gives the port's own numbers.

A uniform u becomes a mask as `u >= rate`, `u < keep` or `floor(keep + u)`, and a Bernoulli draw of probability `rate` says what
is dropped rather than what is kept. Each is right, so none may be assumed: what the program made of the draw says which it is.
Which axis of a draw is which does not show in its shape where two are of one size: the worker gives each reading
(frameworks.contract.layouts). Where none gives the numbers, the first one stands, and the rows fail on it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

from harness.comparison.checks.state import distance
from harness.comparison.checks.value import limit_of
from harness.comparison.context import Context, wide
from harness.comparison.tolerance import Bound
from harness.records import Arrays, Draws, JobResult, PassResult, Site
from harness.tape import BERNOULLI, KEEP_RULES, UNIFORM, Draw

Reading = Callable[[Draw], Draw]

#: Up to so many times the case's limits, the limits are measured anew on the draws at hand.
NEAR = 64.0
#: How a uniform is read where its framework decides nothing from uniforms itself.
ASSUMED = KEEP_RULES[0]


def read(job: JobResult, context: Context) -> JobResult:
    """The job with every draw of code under test read as its program reads it; any other job as it is."""
    if not job.backend.target or not job.passes:
        return job
    one, result = job.passes[0]
    if one.mode != "train" or not result.draws:
        return job
    ways = [
        (number, reading)
        for number, given in enumerate([result, *result.others])
        # What a tape's uniforms decide, the worker has run both ways.
        for reading in (readings(given.draws, context) if one.tape is None else [{}])
    ]
    if len(ways) == 1:
        return job
    for wrong in (right, other_side, unscaled):
        for number, reading in ways:
            given = nth(result, number)
            if explains(context, *wrong(context, changed(given.draws, reading)), given):
                return reread(job, number, reading)
    return reread(job, *ways[0])


def nth(result: PassResult, number: int) -> PassResult:
    """A pass's result by one of its readings, the first of which is its own; a pass without draws has no other."""
    return [result, *result.others][number] if number <= len(result.others) else result


def right(context: Context, draws: Draws) -> tuple[Arrays, Sequence[Site]]:
    """The canonical draws of a reading, and the case's sites."""
    return context.draws(draws), context.variant.sites


def other_side(context: Context, draws: Draws) -> tuple[Arrays, Sequence[Site]]:
    """As `right`, of a program that keeps what should be dropped: read so, its cause can be named."""
    canonical, sites = right(context, draws)
    return {key: ~array if array.dtype == bool else array for key, array in canonical.items()}, sites


def unscaled(context: Context, draws: Draws) -> tuple[Arrays, Sequence[Site]]:
    """As `right`, of a program that does not scale what it keeps."""
    canonical, sites = right(context, draws)
    return canonical, [site._replace(scale="none") for site in sites]


def readings(draws: Draws, context: Context) -> Iterator[dict[str, Reading]]:
    """The ways to read a pass's draws, by key: the framework's own first. One rule serves all of a program's uniforms."""
    rates = {site.at: site.rate for site in context.variant.sites}
    open_keys = [key for key, draw in draws.items() if key in rates and draw.may_drop(rates[key])]
    uniform = [key for key in open_keys if draws[key].kind == UNIFORM]
    either = [key for key in open_keys if draws[key].kind == BERNOULLI]
    own = next((draws[key].rule for key in uniform), "") or ASSUMED
    rules = dict.fromkeys([own, *KEEP_RULES]) if uniform else [own]
    for rule, inverted in itertools.product(rules, [False, True] if either else [False]):
        reading: dict[str, Reading] = {key: _ruled(rule) for key in uniform}
        reading.update((key, Draw.other_way) for key in either if inverted)
        yield reading


def _ruled(rule: str) -> Reading:
    return lambda draw: draw._replace(rule=rule)


def changed(draws: Draws, reading: dict[str, Reading]) -> Draws:
    """The draws as a reading takes them."""
    return {key: reading[key](draw) if key in reading else draw for key, draw in draws.items()}


def reread(job: JobResult, number: int, reading: dict[str, Reading]) -> JobResult:
    """The job with the draws of all its passes read so."""
    chosen = [(one, nth(result, number)) for one, result in job.passes]
    passes = tuple(
        (one, dataclasses.replace(result, draws=changed(result.draws, reading), others=())) for one, result in chosen
    )
    return dataclasses.replace(job, passes=passes)


def explains(context: Context, canonical: Arrays, sites: Sequence[Site], result: PassResult) -> bool:
    """Whether the reference on these canonical draws and sites gives the outputs of a pass, each within its limit."""
    variant = context.variant
    try:
        expected: Arrays = context.kind.evaluate(
            variant.config,
            wide(context.arrays()[0]),
            wide(context.arrays()[1]),
            sites,
            canonical,
            train=True,
        ).outputs
    except (KeyError, ValueError):
        # A site drew nothing, or in another shape: the rows say so.
        return False
    gaps = {name: distance(result.outputs[name], array) for name, array in expected.items() if name in result.outputs}
    if gaps.keys() != expected.keys() or not gaps:
        return False
    if within(context, gaps, None):
        return True
    # These draws may be several times as sensitive as those that the case's limits were measured on; another reading is not near.
    near = all(gap <= NEAR * limit_of(context, name, "train")[0] for name, gap in gaps.items())
    return near and within(context, gaps, context.bounds_on(canonical, "train"))


def within(context: Context, gaps: dict[str, float], bounds: dict[str, Bound] | None) -> bool:
    """Whether every output lies within its limit."""
    return all(gap <= limit_of(context, name, "train", bounds)[0] for name, gap in gaps.items())
