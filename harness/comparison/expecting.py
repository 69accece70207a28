"""Known differences that could match no row, whatever runs: a misspelt check or backend would go unnoticed for ever.

Which rows a case can have follows from the case alone, so this does not depend on what is installed, selected or found to differ.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator

from harness.comparison import recorded
from harness.comparison.checks.base import planned
from harness.comparison.compare import RAN, chosen
from harness.comparison.context import Context
from harness.errors import Problem, did_you_mean
from harness.execution.plan import of_backend
from harness.records import BACKENDS, BackendRef, Expectation, Variant

#: What a job that could not be run to its end is told by, whichever checks were planned.
_ALWAYS = frozenset({RAN, "mask.sites"})
#: Of a case's checks, so many are listed where none is near.
_LISTED = 12


def unmatched(variants: Iterable[Variant]) -> list[Problem]:
    """One problem for each known difference that no variant's rows could match, in the order of the cases.

    variants  all of each case file: a known difference may speak of one variant alone.
    """
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
        near = f" (did you mean '{one.backend}: *'?)" if one.backend in BACKENDS else did_you_mean(one.backend, labels)
        message = f"{one.backend!r} names no implementation of this case{near}"
        return Problem(f"{message}: this known difference matches nothing", one.place, f"expect.{index}.backend")
    near = did_you_mean(one.check, checks)
    if not near:
        names = list(checks)
        near = f"; there are: {', '.join(names[:_LISTED])}" + (" …" if len(names) > _LISTED else "")
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
