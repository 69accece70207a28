"""What every implementation must keep: the questions of the contract.

`broken` puts every question to one case of a table (`trial.py`) and returns those that it fails, with the reason; a table lists
what is known to differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from harness.frameworks.contract.adapter import Result, Unsupported
from harness.frameworks.contract.capabilities import DTYPES
from harness.layers.base import Refused, kinds
from harness.noises import NOISES, Site
from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import Call, plain
from tests.frameworks.trial import LENGTHS, Trial

QUESTIONS: dict[str, Callable[[Trial], None]] = {}
#: Those that are put to one job of an implementation only; and those that others are spared where each call is traced anew.
ONCE: set[str] = set()
SPARED = ("same seed", "other seed")


def question(once: bool = False) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Register a question under its function's name: an AssertionError, or any other error, is a "no"."""

    def decorate(function: Callable[[Trial], None]) -> Callable[[Trial], None]:
        name = function.__name__.replace("_", " ")
        QUESTIONS[name] = function
        if once:
            ONCE.add(name)
        return function

    return decorate


def broken(trial: Trial) -> dict[str, str]:
    """The questions that a case does not answer as it should, each with the reason."""
    return {name: reason for name in QUESTIONS for reason in asked(trial, name)}


def asked(trial: Trial, name: str) -> Iterator[str]:
    """The reason why one question is not answered as it should, if there is one."""
    if not trial.first and (name in ONCE or (name in SPARED and trial.case.options.get("tf_function"))):
        return
    try:
        QUESTIONS[name](trial)
    except (Exception, pytest.fail.Exception) as error:  # whatever a framework raises is its answer
        yield f"{type(error).__name__}: {error}"


def surprises(trial: Trial) -> dict[str, str]:
    """`broken` without what the table knows, and what the table knows and is not so."""
    answers = broken(trial)
    keys = [key.rpartition(": ") for key in trial.case.differs]
    known = {name: trial.case.differs[before + colon + name] for before, colon, name in keys
             if before in ("", trial.backend)}  # fmt: skip
    wrong = {
        name: reason for name, reason in answers.items() if name not in known or not re.search(known[name], reason)
    }
    return wrong | {name: "is listed as a difference and is none" for name in known if name not in answers}


def refusal(trial: Trial) -> str:
    """Why a case is refused. Fails where it is not."""
    with pytest.raises(Unsupported) as caught:
        trial.call().run()
    return str(caught.value)


# --- questions ------------------------------------------------------------------------------------------------------


def same(left: Result, right: Result, gradients: bool = True) -> None:
    """The same bits."""
    pairs = [(left.outputs, right.outputs)] + [(left.gradients, right.gradients)] * gradients
    for one, other in pairs:
        assert set(one) == set(other)
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


def within(call: Call, result: Result) -> None:
    """Outputs, states and gradients are the reference's on these draws, within the derived bound."""
    worst = call.worst(result)
    assert worst <= 1.0, f"{worst:.3g} times its bound"


def drawn(trial: Trial, result: Result) -> dict[str, np.ndarray]:
    """What was decided or drawn, by the tape's keys, without what no valid step has."""
    return plain(trial.job.sites, result.draws)


def taken(trial: Trial, result: Result, tape: Mapping[str, np.ndarray]) -> None:
    """The draws are the tape's, element for element; beyond a sequence's end nothing needs to be drawn."""
    values = drawn(trial, result)
    assert set(values) == set(tape), f"drew at {sorted(values)}, the tape has {sorted(tape)}"
    for name, array in values.items():
        wanted = np.broadcast_to(tape[name], array.shape)
        valid = np.ones(array.shape, dtype=bool)
        axes = next(site.axes for site in trial.job.sites if site.at == name.split("/")[0])
        if "lengths" in trial.job.job.inputs and {"batch", "time"} <= set(axes):
            steps = [np.arange(size).reshape([-1 if k == n else 1 for k in range(array.ndim)])
                     for n, size in enumerate(array.shape)]  # fmt: skip
            batch, time = axes.index("batch"), axes.index("time")
            if array.shape[time] > 1 and array.shape[batch] > 1:
                valid &= steps[time] < LENGTHS[steps[batch]]
        close = np.isclose(array, wanted, rtol=1e-5, atol=1e-6) if array.dtype.kind == "f" else array == wanted
        assert np.all(close | ~valid), f"{name}: {np.count_nonzero(~close & valid)} of {array.size} are not the tape's"


@question()
def own_sites(trial: Trial) -> None:
    """Every site of the job draws, and nothing else; along an axis that a site shares, all is the same."""
    values = drawn(trial, trial.own)
    expected = trial.tape if trial.random else {}
    assert set(values) == set(expected), f"drew at {sorted(values)}, the job has {sorted(expected)}"
    for name, array in values.items():
        shape = expected[name].shape
        first = array[tuple(slice(1) if size == 1 else slice(None) for size in shape)]
        assert first.shape == shape, f"{name}: drew {array.shape}, the site has {shape}"
        assert np.array_equal(array, np.broadcast_to(first, array.shape)), f"{name} is not shared as the site says"


@question()
def own_values(trial: Trial) -> None:
    """Outputs, states and gradients are the reference's on the implementation's own draws."""
    within(trial.job, trial.own)


@question()
def same_seed(trial: Trial) -> None:
    """The same seed gives the same draws, outputs and gradients."""
    again = trial.job.run()
    for name, draw in trial.own.draws.items():
        np.testing.assert_array_equal(draw.values, again.draws[name].values, err_msg=name)
    same(trial.own, again)


@question()
def other_seed(trial: Trial) -> None:
    """Another seed gives other draws. A small mask may be the same by luck, all of them not."""
    if trial.random:
        other = trial.job.run(seed=4, cotangents=trial.job.job.cotangents)
        pairs = [(draw.values, other.draws[name].values) for name, draw in trial.own.draws.items()]
        assert not all(np.array_equal(one, another) for one, another in pairs), "seeds 3 and 4 draw the same"


@question()
def tape_taken(trial: Trial) -> None:
    """What is replayed is what the layer then has, and the reference's values follow from it."""
    if trial.replays:
        taken(trial, trial.replayed, trial.tape)
        within(trial.job, trial.replayed)


@question()
def tape_rules(trial: Trial) -> None:
    """A seed changes nothing beside a tape."""
    if trial.replays:
        same(trial.replayed, trial.job.run(tape=trial.tape, seed=99))


@question()
def own_replayed(trial: Trial) -> None:
    """A tape of the implementation's own draws gives what they gave: every bit, or within the bound where it is compiled anew."""
    if trial.replays:
        tape = drawn(trial, trial.own)
        again = trial.job.run(tape=tape, seed=99)
        taken(trial, again, tape)
        if trial.exact:
            same(trial.own, again)
        else:
            within(trial.job, again)


@question()
def evaluation_draws(trial: Trial) -> None:
    """Evaluation draws nothing."""
    draws = trial.evaluated.draws
    assert not draws, f"drew at {sorted(draws)}"


@question()
def evaluation_values(trial: Trial) -> None:
    """Evaluation computes what no dropout computes."""
    within(trial.still, trial.evaluated)


@question()
def further_precisions(trial: Trial) -> None:
    """What else each case is asked in."""
    for dtype in trial.further:
        call = trial.call(dtype=dtype)
        within(call, call.run())


@question(once=True)
def without_gradients(trial: Trial) -> None:
    """Without cotangents there are no gradients, and the outputs and draws are the same."""
    if not trial.found.adapter.differentiable:
        with pytest.raises(Unsupported, match="no gradients"):
            trial.call(gradients=True).run()
        return
    plainly = trial.job.run(cotangents={})
    assert not plainly.gradients
    assert trial.own.gradients or trial.key[1] == "embedding"
    for name, draw in trial.own.draws.items():
        np.testing.assert_array_equal(draw.values, plainly.draws[name].values, err_msg=name)
    if trial.exact:
        same(trial.own, plainly, gradients=False)


@question(once=True)
def a_tape_that_lacks_a_site(trial: Trial) -> None:
    """A tape with nothing for a site is an error; where there is no replay, any tape is refused."""
    if trial.random:
        error = TapeMismatch if trial.replays else Unsupported
        with pytest.raises(error, match="nothing for site" if trial.replays else "cannot be replayed"):
            trial.job.run(tape={})


@question(once=True)
def a_second_call(trial: Trial) -> None:
    """A layer that can be called twice after one seeding gives the reference's values again; any other refuses."""
    if trial.found.adapter.recalls:
        within(trial.job, trial.job.run(calls=2))
    else:
        with pytest.raises(Unsupported, match="not called twice"):
            trial.job.run(calls=2)


@question(once=True)
def undeclared_refused(trial: Trial) -> None:
    """Every option refuses a value that it does not have; options, sites, noises and scales that are not declared are refused."""
    adapter, job = trial.found.adapter, trial.job.job
    for option in adapter.options:
        with pytest.raises(Unsupported, match=f"^option {option} is .*, not 'off'"):
            adapter().check(job._replace(options={**job.options, option: "off"}))
    sites = list(kinds()[trial.key[1]].site_names)
    other = next((site for site in [*sites, "elsewhere"] if site not in adapter.sites), "elsewhere")
    changes: list[tuple[dict[str, Any], str]] = [
        ({"options": {**job.options, "undeclared": True}}, "no option 'undeclared'"),
        ({"sites": (Site(other, 0.3),)}, f"no dropout at '{other}'"),
    ]
    for noise in set(NOISES) - set(adapter.noises):
        changes += [({"sites": (site._replace(noise=noise),)}, f"no {noise} noise") for site in job.sites[:1]]
    for scale in {"inverted", "none"} - set(adapter.scales):
        changes += [({"sites": (site._replace(scale=scale),)}, "scale") for site in job.sites[:1]]
    for change, words in changes:
        with pytest.raises(Unsupported, match=words):
            trial.job.run(**change)


def at_rate(trial: Trial, rate: float) -> Call | None:
    """The first job with another rate at every site; with no spread where there is no rate. None where the kind has none such."""
    config = dict(trial.case.config)
    for name, value in (("rate", rate), ("stddev", 0.0 if rate == 0.0 else config.get("stddev"))):
        if name in config:
            config[name] = value
    dropout = [{**entry, "rate": rate} for entry in trial.case.dropout]
    if not trial.tape or (rate and "rate" not in config and not dropout):
        return None
    try:
        return trial.call(config=config, dropout=dropout)
    except (ValidationError, Refused):
        return None


def of_rate(rate: float) -> Callable[[Trial], None]:
    def ask(trial: Trial) -> None:
        call = at_rate(trial, rate)
        if call is None:
            return
        if rate == 1.0 and not trial.found.adapter.rate_one:
            with pytest.raises(Unsupported):
                call.run()
            return
        result = call.run()
        within(call, result)
        if trial.replays:
            settled = {name: np.broadcast_to(values, trial.tape[name].shape)
                       for name, values in plain(call.sites, result.draws).items() if name in trial.tape}  # fmt: skip
            if set(settled) == set(trial.tape):
                again = call.run(tape=settled)
                same(result, again) if trial.exact else within(call, again)

    ask.__name__ = f"rate_{rate:g}"
    return ask


def of_dtype(dtype: str) -> Callable[[Trial], None]:
    def ask(trial: Trial) -> None:
        call = trial.call(dtype=dtype)
        if dtype in trial.found.adapter.dtypes:
            within(call, call.run())
        else:
            with pytest.raises(Unsupported, match=f"not {dtype}"):
                call.run()

    ask.__name__ = dtype
    return ask


for _rate in (0.0, 1.0):
    question(once=True)(of_rate(_rate))
for _dtype in DTYPES:
    question(once=True)(of_dtype(_dtype))
