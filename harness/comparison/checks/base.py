"""What a check is: a question that a plan asks of one implementation, answered by a finding.

A check is a function of the evidence, registered under its name with a rule for when it applies. The plan asks every check
whether it applies to a variant; one that was planned must answer, and answering about nothing is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.comparison.context import Context, Evidence
from harness.records import Aim, BackendRef, Failure, Verdict
from harness.registry import Registry

if TYPE_CHECKING:
    from harness.comparison.statistics.design import Stage

Answer = Iterable["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's answer. `name` is the row's check (a family such as `value.*` answers once for each of its names).

    again   the p-value of a statistical check whose result is suspicious, to be tried again on fresh draws; else None.
    failure an exception of the check itself, in place of an answer.
    seconds how long the check took over it (harness.comparison.compare.answers).
    """

    name: str
    verdict: Verdict
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    where: str = ""
    cause: str = ""
    note: str = ""
    seed: str = ""
    again: float | None = None
    aim: Aim = Aim.MOST
    failure: Failure | None = None
    seconds: float | None = None


def settled(
    name: str,
    judged: Stage,
    p_value: float,
    measured: float,
    limit: float,
    unit: str,
    where: str,
    cause: str,
    note: str,
    aim: Aim = Aim.MEET,
) -> Finding:
    """A statistical check's answer, `cause` where it rejects; a suspicious one passes for now, and says so.

    p_value  of all the tests of the check together (Bonferroni).
    """
    if judged == "again":
        again = min(1.0, p_value)
        note = f"{note}; suspicious"
        return Finding(name, Verdict.PASS, measured, limit, unit, where, note=note, again=again, aim=aim)
    bad = judged == "reject"
    verdict = Verdict.FAIL if bad else Verdict.PASS
    return Finding(name, verdict, measured, limit, unit, where, cause if bad else "", note, aim=aim)


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check.

    plans    the names of the rows that this check owes for a variant; empty: it does not apply.
    serves   whether it is asked of an implementation at all, once it applies.
    answer   computes them from the evidence.
    """

    name: str
    plans: Callable[[Context], Iterable[str]]
    answer: Callable[[Evidence], Answer]
    serves: Callable[[Context, BackendRef], bool] = lambda _context, _backend: True


_CHECKS: Registry[Check] = Registry("the check", "harness.comparison.checks", group="harness.checks")


def check(
    name: str,
    plans: Callable[[Context], Iterable[str]],
    serves: Callable[[Context, BackendRef], bool] = lambda _context, _backend: True,
) -> Callable[[Callable[[Evidence], Answer]], Check]:
    """Register a check; two of one name are an error."""

    def decorate(answer: Callable[[Evidence], Answer]) -> Check:
        made = Check(name, plans, answer, serves)
        _CHECKS.add(name, made, answer)
        return made

    return decorate


def checks() -> dict[str, Check]:
    """All checks by name, in the order of their modules; imports every module of this package once, and those of entry points."""
    return _CHECKS.all()


def planned(context: Context, allowed: Callable[[str], bool], backend: BackendRef | None = None) -> dict[str, Check]:
    """The rows that are owed for a variant, by one implementation where it is given: row name -> the check that owes it."""
    owed: dict[str, Check] = {}
    for one in checks().values():
        names = [name for name in one.plans(context) if allowed(name)]
        if names and (backend is None or one.serves(context, backend)):
            owed.update(dict.fromkeys(names, one))
    return owed
