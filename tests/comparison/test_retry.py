"""Two stages: a suspicious result is judged by fresh draws, in simulation and through a real worker."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from simulated import TODAY, Mutate, right, variant

from harness.comparison.checks.base import checks
from harness.comparison.context import Context, Evidence
from harness.comparison.retry import sampled, second_stage
from harness.comparison.sampling import staged
from harness.comparison.statistics.design import TwoStage
from harness.execution.plan import passes_of
from harness.execution.retry import FIRST_SEED, fresh_jobs, fresh_passes
from harness.records import BackendRef, Compared, Expectation, JobResult, Pass, PassResult, Row, Variant, Verdict
from harness.running import Runner, conclude, run
from harness.tape import BERNOULLI, UNIFORM, Draw, decisions

DROPOUT = variant("dropout", {"rate": 0.3}, {"x": (8, 20, 20)}, gradients=False)
NOISE = variant("gaussian_noise", {"stddev": 0.5}, {"x": (20, 20, 10)}, gradients=False)
Values = Callable[[np.ndarray], np.ndarray]


def drawn(change: Values, *, always: bool) -> Mutate:
    """Draws changed in the first stage, or in both: luck, or a fault."""

    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train" or (one.seed >= FIRST_SEED and not always):
            return result
        draws = {key: draw._replace(values=change(draw.values)) for key, draw in result.draws.items()}
        return right(context, one, draws)

    return mutate


def driven(case: Variant, mutate: Mutate) -> tuple[Compared, Compared]:
    """Both stages of the simulated implementation, as a run drives them: (after the first, after the second)."""
    context = Context(case)

    def job(passes: tuple[Pass, ...]) -> JobResult:
        return JobResult(
            case, case.backends[0], tuple((one, mutate(context, one, right(context, one))) for one in passes)
        )

    first = conclude(job(passes_of(case)), context, TODAY)
    count = len(fresh_passes(case, staged().factor)) if first.again else 0
    results = [sampled(job((one,)), context) for one in fresh_passes(case, staged().factor)[:count]]
    return first, second_stage(first, results, context, TODAY) if first.again else first


def row(compared: Compared, check: str) -> Row:
    return next(one for one in compared.rows if one.check == check)


def one_step_less(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[:, 2] = changed[:, 2] * np.float32(0.72)
    return changed


#: Of the values of `half_uniform`.
SHARE = 0.55


def slightly_dependent(values: np.ndarray) -> np.ndarray:
    """Every second feature of a part of the samples is its neighbour's draw again."""
    changed = values.copy()
    changed[0, :16, 1::2] = changed[0, :16, ::2]
    return changed


def half_uniform(values: np.ndarray) -> np.ndarray:
    """A part of the values from a uniform distribution of the same mean and spread."""
    digits = np.abs(values) * 31.0 % 1.0
    uniform = (np.abs(values) * 97.0 % 1.0 - 0.5) * np.sqrt(12.0)
    return np.where(digits < SHARE, uniform, values).astype(np.float32)


#: Faults so small that the first stage has doubts and no more: (case, the check that doubts, what is done to the draws).
SMALL: dict[str, tuple[Variant, str, Values]] = {
    "rate": (DROPOUT, "mask.rate", lambda u: (u * np.float32(0.88)).astype(np.float32)),
    "one step": (DROPOUT, "mask.frequency", one_step_less),
    "neighbours": (DROPOUT, "mask.independence", slightly_dependent),
    "mean": (NOISE, "noise.mean", lambda z: z + np.float32(0.06)),
    "spread": (NOISE, "noise.spread", lambda z: z * np.float32(1.045)),
    "family": (NOISE, "noise.family", half_uniform),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_fault_is_suspicious_at_first_and_fails_on_fresh_draws(name: str) -> None:
    case, check, change = SMALL[name]
    first, second = driven(case, drawn(change, always=True))
    assert row(first, check).verdict is Verdict.PASS
    assert 5e-11 < first.again[check] <= 1e-4
    found = row(second, check)
    assert found.verdict is Verdict.FAIL
    assert f"(p = {first.again[check]:.2g} at first; tried again on 20 fresh seeds)" in found.cause
    assert second.again == {}


@pytest.mark.parametrize("name", SMALL)
def test_the_same_first_result_by_luck_passes_on_fresh_draws(name: str) -> None:
    case, check, change = SMALL[name]
    first, second = driven(case, drawn(change, always=False))
    assert check in first.again
    assert {one.check: one.cause for one in second.rows if one.verdict is not Verdict.PASS} == {}
    assert row(second, check).note.startswith(f"p = {first.again[check]:.2g} at first; tried again on 20 fresh seeds: ")
    assert "suspicious" not in row(second, check).note
    others = [one for one in second.rows if one.check not in first.again]
    assert others == [one for one in first.rows if one.check not in first.again]


def test_fresh_draws_of_code_that_draws_what_is_dropped_are_read_so_too() -> None:
    plain, check, change = SMALL["rate"]
    case = dataclasses.replace(plain, backends=(BackendRef("numpy", "own", target="port.py:run"),))
    unlucky = drawn(change, always=False)

    def dropping(context: Context, one: Pass, result: PassResult) -> PassResult:
        result = unlucky(context, one, result)
        dropped = {
            key: Draw(BERNOULLI, ~decisions(draw, 0.3), params={"keep": 0.3}, site=draw.site)
            for key, draw in result.draws.items()
        }
        return dataclasses.replace(result, draws=dropped)

    first, second = driven(case, dropping)
    assert check in first.again
    assert row(second, check).verdict is Verdict.PASS, row(second, check).cause


def test_what_is_beyond_doubt_is_not_tried_again() -> None:
    first, _ = driven(DROPOUT, drawn(lambda u: (u * np.float32(0.5)).astype(np.float32), always=True))
    assert row(first, "mask.rate").verdict is Verdict.FAIL
    assert "mask.rate" not in first.again


def test_a_known_difference_is_known_after_the_second_stage_too() -> None:
    case, check, change = SMALL["rate"]
    expect = Expectation("*", check, "drops too much")
    _, second = driven(dataclasses.replace(case, expect=(expect,)), drawn(change, always=True))
    assert row(second, check).verdict is Verdict.KNOWN
    _, second = driven(dataclasses.replace(case, expect=(expect,)), drawn(change, always=False))
    assert row(second, check).verdict is Verdict.UNEXPECTED_PASS


def test_a_second_stage_that_breaks_gives_its_verdict() -> None:
    case, check, change = SMALL["rate"]
    context = Context(case)
    first, _ = driven(case, drawn(change, always=True))
    broken = JobResult(case, case.backends[0], verdict=Verdict.CRASH, message="the worker died")
    found = row(second_stage(first, [broken], context, TODAY), check)
    assert (found.verdict, found.cause.split(" (")[0]) == (
        Verdict.CRASH,
        "it could not be tried again on fresh draws: the worker died",
    )
    assert row(second_stage(first, [], context, TODAY), check).verdict is Verdict.ERROR


def test_fresh_passes_are_ten_times_as_many_of_other_seeds() -> None:
    case = dataclasses.replace(DROPOUT, seeds=(1000, 7, 1002))
    passes = fresh_passes(case, 10)
    assert len(passes) == 30
    assert len({one.seed for one in passes} | {1000, 7, 1001, 1002}) == 34
    assert all(one.tape is None and not one.gradients and one.role == "train" for one in passes)
    assert len(fresh_passes(dataclasses.replace(case, seeds=(0,)), 10)) == 20  # the first stage adds another seed
    jobs = list(fresh_jobs(case, BackendRef("numpy", "numpy.dropout"), 10))
    assert sum(len(job.passes) for job in jobs) == 30
    assert max(len(job.passes) for job in jobs) == len(passes_of(case))
    assert fresh_passes(dataclasses.replace(case, draws="replay"), 10) == []
    huge = variant("dropout", {"rate": 0.3}, {"x": (64, 1024, 512)})
    assert len(fresh_passes(huge, 10)) == 2


PORT = """import numpy as np


class Biased:
    '''A home-made generator whose uniforms are a little too small.'''

    def __init__(self, generator, power):
        self.generator, self.power = generator, power

    def uniform(self, size):
        return self.generator.uniform(size=size) ** self.power


def run(case):
    x = case.inputs["x"]
    tap = case.rng._tap
    power = case.options["first"] if case.seed < 1000 else case.options["then"]
    tap._generator = Biased(tap._generator, power)
    if case.options.get("die") and case.seed >= 1000:
        import os
        os.abort()
    rate = case.rate("input")
    kept = case.rng.bernoulli(1.0 - rate, x.shape)
    return {"y": np.where(kept, x / x.dtype.type(1.0 - rate), x.dtype.type(0))}
"""


def ported(tmp_path: Path, **options: object) -> Row:
    """`mask.rate` of a port in NumPy that runs in a worker."""
    (tmp_path / "port.py").write_text(PORT)
    ref = BackendRef("numpy", name="port", target=str(tmp_path / "port.py") + ":run", options=options)
    case = dataclasses.replace(DROPOUT, dtype="float64", backends=(ref,), timeout=60.0)
    (found,) = run([case], today=datetime.date(2026, 11, 20))
    assert found.again == {}
    return row(found, "mask.rate")


def test_a_real_worker_with_a_small_bias_fails_at_the_second_stage(tmp_path: Path) -> None:
    found = ported(tmp_path, first=1.08, then=1.08)
    assert found.verdict is Verdict.FAIL
    assert "at first; tried again on 20 fresh seeds" in found.cause
    assert "over 64000 draws" in found.note
    assert found.measured == pytest.approx(0.3 ** (1 / 1.08), abs=0.01)


def test_a_real_worker_with_an_unlucky_first_stage_passes(tmp_path: Path) -> None:
    found = ported(tmp_path, first=1.08, then=1.0)
    assert found.verdict is Verdict.PASS
    assert "at first; tried again on 20 fresh seeds" in found.note


def test_a_worker_that_dies_in_the_second_stage_costs_the_row_alone(tmp_path: Path) -> None:
    found = ported(tmp_path, first=1.08, then=1.0, die=True)
    assert found.verdict is Verdict.CRASH
    assert found.cause.startswith("it could not be tried again on fresh draws: the worker was killed by SIGABRT")


def test_the_rows_of_a_run_stay_in_order(tmp_path: Path) -> None:
    (tmp_path / "port.py").write_text(PORT)
    target = str(tmp_path / "port.py") + ":run"
    refs = [
        BackendRef("numpy", name=f"port {power}", target=target, options={"first": power, "then": 1.0})
        for power in (1.0, 1.08, 1.0001)
    ]
    cases = [dataclasses.replace(DROPOUT, id=f"case{k}", dtype="float64", backends=tuple(refs)) for k in range(2)]
    with Runner() as runner:
        found = list(runner.run(cases))
    assert [(one.variant.id, one.backend.label) for one in found] == [
        (f"case{k}", f"port {power}") for k in range(2) for power in (1.0, 1.08, 1.0001)
    ]
    assert {row(one, "mask.rate").verdict for one in found} == {Verdict.PASS}


# --- both error rates ---------------------------------------------------------------------------------------------------------

STATISTICAL = ("mask.rate", "mask.frequency", "mask.independence")
SMALLER = variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)}, gradients=False)
CONTEXT = Context(SMALLER)
SITE = SMALLER.sites[0]


def fresh(rng: np.random.Generator, rate: float, count: int, stage: int) -> Evidence:
    """A run's evidence of uniforms that drop with `rate` where the case has 0.3; draws alone."""
    passes = []
    for seed in range(count):
        u = rng.random(SITE.shape) * (0.3 / rate)
        draws = {"input": Draw(UNIFORM, u, "u >= rate", site="input")}
        passes.append((Pass("train", seed, "train"), PassResult({}, {}, draws)))
    evidence = Evidence(CONTEXT, tuple(passes))
    evidence.stage = stage
    return evidence


def rejects(rng: np.random.Generator, rate: float, names: tuple[str, ...], factor: int = 10) -> tuple[bool, bool]:
    """(whether a run of these checks raised an alarm, whether it tried again)."""
    alarm = retried = False
    for name in names:
        (found,) = checks()[name].answer(fresh(rng, rate, 2, 1))
        if found.again is not None:
            retried = True
            (found,) = checks()[name].answer(fresh(rng, rate, 2 * factor, 2))
        alarm |= found.verdict is not Verdict.PASS
    return alarm, retried


@pytest.mark.exhaustive
def test_right_runs_raise_no_alarm() -> None:
    """Thousands of right runs through the checks as they are used: no alarm, and hardly ever a second stage."""
    rng = np.random.default_rng(7)
    runs = [rejects(rng, 0.3, STATISTICAL) for _ in range(3000)]
    assert not any(alarm for alarm, _ in runs)
    assert (
        sum(retried for _, retried in runs) <= 6
    )  # 9 000 rows at 1e-4 are one; seven or more have a probability of 1e-4


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", STATISTICAL)
def test_alarms_of_right_runs_stay_below_a_level_that_can_be_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same checks at a level of 4 %, half of it in each stage, so that thousands of runs show false alarms."""
    for module in ("rate", "frequency", "independence"):
        monkeypatch.setattr(f"harness.comparison.checks.{module}.staged", lambda: TwoStage(0.04, suspicious=0.2))
    rng = np.random.default_rng(11)
    runs = [rejects(rng, 0.3, (name,), factor=2) for _ in range(2500)]
    alarms = sum(alarm for alarm, _ in runs) / len(runs)
    again = sum(retried for _, retried in runs) / len(runs)
    assert alarms <= 0.04 + 4 * np.sqrt(0.04 * 0.96 / len(runs))
    assert again <= 0.2 + 4 * np.sqrt(0.2 * 0.8 / len(runs))
    assert alarms > 0.0
    assert again > 0.01


@pytest.mark.exhaustive
def test_the_ladder_of_biased_runs_follows_the_exact_power() -> None:
    """The share of biased runs that `mask.rate` notices is the power that the design states, and rises with the bias."""
    design = staged()
    draws = 2 * int(np.prod(SITE.shape))
    smallest = design.smallest_bias(draws, 0.3)
    noticed = []
    for step, part in enumerate((0.0, 0.3, 0.5, 0.7, 1.0, 1.3)):
        rng = np.random.default_rng([3, step])
        share = np.mean([rejects(rng, 0.3 + part * smallest, ("mask.rate",))[0] for _ in range(400)])
        exact = design.power(draws, 0.3, part * smallest)
        assert abs(share - exact) <= 4.5 * np.sqrt(exact * (1 - exact) / 400) + 2 / 400, (part, share, exact)
        noticed.append(share)
    assert noticed[0] == 0.0
    assert noticed == sorted(noticed)
    assert noticed[4] >= 0.99
