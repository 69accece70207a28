"""What a check is: a question that a plan asks of one implementation, answered by a finding.

A check is a function of the evidence, registered under its name with a rule for when it applies. The plan asks every check
whether it applies to a variant; one that was planned must answer, and answering about nothing is an error.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.comparison.context import Context, Evidence
from harness.records import BackendRef, Verdict

if TYPE_CHECKING:
    from harness.comparison.statistics.design import Stage

Answer = Iterable["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's answer. `name` is the row's check (a family such as `value.*` answers once for each of its names).

    again   the p-value of a statistical check whose result is suspicious, to be tried again on fresh draws; else None.
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
) -> Finding:
    """A statistical check's answer, `cause` where it rejects; a suspicious one passes for now, and says so.

    p_value  of all the tests of the check together (Bonferroni).
    """
    if judged == "again":
        again = min(1.0, p_value)
        return Finding(name, Verdict.PASS, measured, limit, unit, where, note=f"{note}; suspicious", again=again)
    bad = judged == "reject"
    return Finding(
        name, Verdict.FAIL if bad else Verdict.PASS, measured, limit, unit, where, cause if bad else "", note
    )


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


_CHECKS: dict[str, Check] = {}
_LOADED = False


def check(
    name: str,
    plans: Callable[[Context], Iterable[str]],
    serves: Callable[[Context, BackendRef], bool] = lambda _context, _backend: True,
) -> Callable[[Callable[[Evidence], Answer]], Check]:
    """Register a check; two of one name are an error."""

    def decorate(answer: Callable[[Evidence], Answer]) -> Check:
        if name in _CHECKS:
            raise ValueError(f"check {name!r} is defined twice")
        _CHECKS[name] = Check(name, plans, answer, serves)
        return _CHECKS[name]

    return decorate


def checks() -> dict[str, Check]:
    """All checks by name, in the order of their modules; imports every module of this package once."""
    global _LOADED
    if not _LOADED:
        package = importlib.import_module("harness.comparison.checks")
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            if module != "base" and not module.startswith("_"):
                importlib.import_module(f"harness.comparison.checks.{module}")
        _LOADED = True
    return _CHECKS


def planned(context: Context, allowed: Callable[[str], bool], backend: BackendRef | None = None) -> dict[str, Check]:
    """The rows that are owed for a variant, by one implementation where it is given: row name -> the check that owes it."""
    owed: dict[str, Check] = {}
    for one in checks().values():
        names = [name for name in one.plans(context) if allowed(name)]
        if names and (backend is None or one.serves(context, backend)):
            owed.update(dict.fromkeys(names, one))
    return owed
