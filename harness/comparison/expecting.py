"""Known differences, and patterns of `checks`, that could match no row, whatever runs: a misspelt check or backend would go
unnoticed for ever.

Which rows a case can have follows from the case alone, so this does not depend on what is installed, selected or found to differ.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator

from harness.comparison import recorded
from harness.comparison.checks.base import planned
from harness.comparison.compare import chosen
from harness.comparison.context import Context
from harness.errors import Problem, did_you_mean
from harness.execution.plan import of_backend
from harness.frameworks.contract.framework import backends
from harness.records import RAN, SHAPE, BackendRef, Expectation, Variant

#: What a job that could not be run to its end is told by, whichever checks were planned.
_ALWAYS = frozenset({RAN, SHAPE, "mask.sites"})
#: Of a case's checks, so many are listed where none is near.
_LISTED = 12


def unmatched(variants: Iterable[Variant]) -> list[Problem]:
    """One problem for each pattern of `checks` and each known difference that no variant's rows could match.

    variants  all of each case file: a known difference may speak of one variant alone, and a check may be of one alone.
    """
    variants = list(variants)
    unknown = _unknown_checks(variants)
    wrong = {problem.place for problem in unknown}
    # Where `checks` is wrong, what it leaves says nothing of the known differences.
    variants = [variant for variant in variants if not wrong.intersection(variant.check_places)]
    return [*unknown, *_unmatched_expectations(variants)]


def _unknown_checks(variants: Iterable[Variant]) -> list[Problem]:
    """Patterns of `checks` that match no check of any variant that has them."""
    groups: dict[tuple[str, int, str], list[Variant]] = {}
    for variant in variants:
        for index, pattern in enumerate(variant.checks):
            groups.setdefault((variant.path, index, pattern), []).append(variant)
    rows: dict[str, list[str]] = {}
    found = []
    for (_, index, pattern), members in groups.items():
        names: dict[str, None] = {}
        for variant in members:
            if variant.id not in rows:
                rows[variant.id] = owed_by_any(Context(variant))
            names |= dict.fromkeys(rows[variant.id])
            if fnmatch.filter(rows[variant.id], pattern):
                break
        else:
            first = members[0]
            message = f"{pattern!r} is no check of this case{_near(pattern, names)}"
            place = first.check_places[index] if index < len(first.check_places) else first.place
            found.append(Problem(message, place, f"checks.{index}"))
    return found


def owed_by_any(context: Context) -> list[str]:
    """Every check that a variant owes for some implementation, or that its recorded outputs can answer, whatever it chooses."""
    names = dict.fromkeys(planned(context, lambda _: True))
    for ref in context.variant.backends:
        if ref.recorded is not None:
            names |= dict.fromkeys(finding.name for finding in recorded.findings(context, ref))
    return list(names)


def _near(pattern: str, names: Iterable[str]) -> str:
    """The nearest name, or where none is near some that there are."""
    names = list(names)
    listed = ", ".join(names[:_LISTED]) + (" …" if len(names) > _LISTED else "")
    return did_you_mean(pattern, names) or f"; there are: {listed or 'none'}"


def _unmatched_expectations(variants: Iterable[Variant]) -> list[Problem]:
    groups: dict[tuple[str, int, str, str], tuple[Expectation, list[Variant]]] = {}
    for variant in variants:
        for index, one in enumerate(variant.expect):
            key = (variant.path, index, one.backend, one.check)
            groups.setdefault(key, (one, []))[1].append(variant)
    rows: dict[tuple[str, str], frozenset[str]] = {}
    found = []
    for (_, index, _, _), (one, members) in groups.items():
        problem = _problem(one, index, members, rows)
        if problem is not None:
            found.append(problem)
    return found


def _problem(
    one: Expectation, index: int, variants: list[Variant], rows: dict[tuple[str, str], frozenset[str]]
) -> Problem | None:
    """What is wrong with a known difference, or None where a row could match it. `rows` remembers checks by (case, label)."""
    labels: dict[str, None] = {}
    matched: dict[str, None] = {}
    checks: dict[str, None] = {}
    for variant in variants:
        if not all(variant.variant.get(key) == value for key, value in one.variant.items()):
            continue
        context = None
        for ref in implementations_of(variant):
            labels[ref.label] = None
            if one.backend != ref.label and not fnmatch.fnmatchcase(ref.label, one.backend):
                continue
            matched[ref.label] = None
            key = (variant.id, ref.label)
            if key not in rows:
                context = context or Context(variant)
                rows[key] = possible(context, ref)
            if any(fnmatch.fnmatchcase(name, one.check) for name in rows[key]):
                return None
            checks |= dict.fromkeys(sorted(rows[key]))
    if not matched:
        near = (
            f" (did you mean '{one.backend}: *'?)" if one.backend in backends() else did_you_mean(one.backend, labels)
        )
        message = f"{one.backend!r} names no implementation of this case{near}"
        return Problem(f"{message}: this known difference matches nothing", one.place, f"expect.{index}.backend")
    near = _near(one.check, checks)
    who = next(iter(matched)) if len(matched) == 1 else f"any of the {len(matched)} implementations"
    message = f"{one.check!r} is no check that is made of {who}{near}"
    return Problem(
        f"{message}: this known difference matches nothing", one.check_place or one.place, f"expect.{index}.check"
    )


def implementations_of(variant: Variant) -> Iterator[BackendRef]:
    """Every implementation that a variant could have, also those that the versions at hand do not offer."""
    for ref in variant.backends:
        if ref.implementation or ref.target or ref.recorded is not None:
            yield ref
        else:
            for one in of_backend(ref.backend, variant.layer):
                yield BackendRef(ref.backend, one.name, options=ref.options, environment=ref.environment)


def possible(context: Context, ref: BackendRef) -> frozenset[str]:
    """The checks that rows of an implementation can have, where a known difference may speak of them."""
    if ref.recorded is not None:
        return frozenset(finding.name for finding in recorded.findings(context, ref))
    return _ALWAYS | planned(context, chosen(context.variant), ref).keys()
