"""The contract notices: an adapter with one fault fails the questions that are about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.frameworks.contract.adapter import Adapter, Job, Result, Unsupported
from tests.frameworks.contract import QUESTIONS, asked, refusal, surprises
from tests.frameworks.trial import Case, Trial

Run = Callable[[Adapter, Job], Result]
Fault = Callable[[Run], Run]

LSTM = ("numpy", "lstm", "numpy.lstm", "everywhere")
DROPOUT = ("numpy", "dropout", "numpy.dropout", "shared")
STACK = ("torch", "lstm", "torch.nn.LSTM", "stack")
DTYPES = {"float16", "bfloat16", "float32", "float64"}


def of_job(change: Callable[[Job], Job]) -> Fault:
    """A fault that makes another job of the one that is asked for."""
    return lambda run: lambda self, job: run(self, change(job))


def of_result(change: Callable[[Job, Result], Result]) -> Fault:
    """A fault in what comes back."""
    return lambda run: lambda self, job: change(job, run(self, job))


def outputs(change: Callable[[Job, np.ndarray], np.ndarray]) -> Fault:
    return of_result(
        lambda job, result: result._replace(outputs={**result.outputs, "y": change(job, result.outputs["y"])})
    )


def gradients(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Fault:
    return of_result(lambda job, result: result._replace(gradients=change(result.gradients)))


def swapped(job: Job, result: Result) -> Result:
    return result._replace(outputs={**result.outputs, "h": result.outputs["c"], "c": result.outputs["h"]})


def unfolded(job: Job, result: Result) -> Result:
    """One mask a time step where the case shares one."""
    draws = {}
    for name, draw in result.draws.items():
        steps = [np.roll(draw.values, step, axis=-1) for step in range(5)]
        draws[name] = draw._replace(
            values=np.concatenate(steps, axis=-2) if draw.values.shape[-2] == 1 else draw.values
        )
    return result._replace(draws=draws)


def in_single(run: Run) -> Run:
    """Computes in float32 whatever is asked for."""

    def single(self: Adapter, job: Job) -> Result:
        cast = {
            field: {name: array.astype(np.float32).astype(array.dtype) for name, array in getattr(job, field).items()}
            for field in ("inputs", "weights")
        }
        return run(self, job._replace(**cast))

    return single


class Counter:
    """A seed that no caller gives."""

    seed = 100


def unseeded(job: Job) -> Job:
    Counter.seed += 1
    return job._replace(seed=Counter.seed)


def lacking(run: Run) -> Run:
    """Draws by itself what a tape lacks."""
    return lambda self, job: run(self, job._replace(tape=job.tape or None))


def no_second(run: Run) -> Run:
    def once(self: Adapter, job: Job) -> Result:
        if job.calls > 1:
            raise Unsupported("is not called twice after one seeding")
        return run(self, job)

    return once


FAULTS: dict[str, tuple[tuple[str, str, str, str], Fault, set[str]]] = {
    "scaled twice": (DROPOUT, outputs(lambda job, y: y / 0.6 if job.train else y),
                     {"own values", "tape taken", "rate 0", *DTYPES}),
    "no scale": (DROPOUT, outputs(lambda job, y: y * 0.6 if job.train else y), {"own values", "tape taken", "rate 0"}),
    "the tape ignored": (LSTM, of_job(lambda job: job._replace(tape=None)), {"tape taken", "a tape that lacks a site"}),
    "the tape turned round": (
        LSTM, of_job(lambda job: job._replace(tape=job.tape and {name: ~draw for name, draw in job.tape.items()})),
        {"tape taken", "own replayed"}),
    "a seed beside the tape": (
        LSTM, outputs(lambda job, y: y + 1e-15 * job.seed if job.tape else y), {"tape rules", "own replayed"}),
    "one seed for all": (LSTM, of_job(lambda job: job._replace(seed=7)), {"other seed"}),
    "no seed": (LSTM, of_job(unseeded), {"same seed", "without gradients"}),
    "a site that does not draw": (LSTM, of_job(lambda job: job._replace(sites=job.sites[1:])), {"own sites", "tape taken"}),
    "a mask a step": (LSTM, of_result(unfolded), {"own sites", "own values"}),
    "evaluation that trains": (
        LSTM, of_job(lambda job: job._replace(mode="train")), {"evaluation draws", "evaluation values"}),
    "float32 for float64": (LSTM, in_single, {"own values", "evaluation values", "tape taken", "float64"}),
    "results of float32": (LSTM, outputs(lambda job, y: y.astype(np.float32)), {"own values", "float64", "float16"}),
    "a gradient of zero": (
        LSTM, gradients(lambda found: {name: 0.0 * array for name, array in found.items()}), {"own values", "rate 0"}),
    "a gradient that is missing": (
        LSTM, gradients(lambda found: {name: array for name, array in found.items() if name != "bias"}), {"own values"}),
    "a gradient unasked": (LSTM, gradients(lambda found: found or {"x": np.zeros(1)}), {"without gradients"}),
    "h and c exchanged": (LSTM, of_result(swapped), {"own values", "evaluation values", "tape taken"}),
    "steps exchanged": (LSTM, outputs(lambda job, y: np.roll(y, 1, axis=1)), {"own values", "evaluation values"}),
    "no batch": (LSTM, outputs(lambda job, y: y[0]), {"own values", "evaluation values"}),
    "an ulp too many": (LSTM, outputs(lambda job, y: y * (1 + 1e-13)), {"own values", "float64"}),
    "nothing drawn at rate 1": (
        LSTM, of_job(lambda job: job._replace(sites=tuple(site for site in job.sites if site.rate < 1.0))), {"rate 1"}),
    "dropout at rate 0": (
        LSTM, of_job(lambda job: job._replace(sites=tuple(site._replace(rate=site.rate or 0.1) for site in job.sites))),
        {"rate 0"}),
    "what a tape lacks is drawn": (LSTM, lacking, {"a tape that lacks a site"}),
    "no second call": (STACK, no_second, {"a second call"}),
    "torch: the tape ignored": (STACK, of_job(lambda job: job._replace(tape=None)), {"tape taken"}),
    "torch: one seed for all": (STACK, of_job(lambda job: job._replace(seed=7)), {"other seed"}),
    "torch: results of float64": (STACK, outputs(lambda job, y: y.astype(np.float64)), {"further precisions"}),
    "torch: gradients exchanged": (
        STACK, gradients(lambda found: {name: np.roll(array, 4, axis=-1) for name, array in found.items()}), {"own values"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at, fault, expected = FAULTS[name]
    pytest.importorskip(at[0])
    trial = Trial(*at)
    monkeypatch.setattr(trial.found.adapter, "run", fault(trial.found.adapter.run))
    assert {question for question in expected if list(asked(trial, question))} == expected


def test_every_question_has_a_fault() -> None:
    noticed = set().union(*(expected for _, _, expected in FAULTS.values()))
    assert set(QUESTIONS) - noticed == {"undeclared refused"}  # the next test's


@pytest.mark.parametrize("declaration", ["_options", "_sites"])
def test_what_is_accepted_undeclared_is_noticed(declaration: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(*DROPOUT)
    monkeypatch.setattr(trial.found.adapter, declaration, lambda self, *asked: [])
    assert list(asked(trial, "undeclared refused"))


def test_a_difference_that_is_gone_and_one_of_other_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(*DROPOUT)
    fields = {**vars(trial.case), "differs": {"own values": "times its bound"}}
    monkeypatch.setattr(trial, "case", Case(**fields))
    assert surprises(trial) == {"own values": "is listed as a difference and is none"}
    monkeypatch.setattr(trial.found.adapter, "run", outputs(lambda job, y: y[0])(trial.found.adapter.run))
    wrong = surprises(Trial(*DROPOUT))
    assert "own values" in wrong


def test_a_refusal_that_is_not_made_is_told() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        refusal(Trial(*DROPOUT))
