"""What a case could not notice: every fault that applies, planted in the reference on the case's own data.

A fault counts as noticed where its effect is more than twice a limit (`NOTICED`): a right program may itself lie one limit off,
so less could stay within it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from harness.comparison.checks.base import planned as planned_checks
from harness.comparison.checks.identity import noise_layer
from harness.comparison.compare import chosen
from harness.comparison.context import GRADIENT, Context, flatten
from harness.diagnosis.fault import Fault, catalogue
from harness.diagnosis.observed import Observed, deviation, judged_limit, predicted, setting_of, wanted
from harness.diagnosis.precision import WORDS, narrower, noise
from harness.diagnosis.setting import reference
from harness.execution.plan import passes_of, tape_uniforms
from harness.layers.base import tape_keys
from harness.power import NOTICED, Power
from harness.records import Arrays, Draws, Pass, PassResult, Role, Variant
from harness.tape import NORMAL, UNIFORM, Draw


def power(variant: Variant, skip: frozenset[str] = frozenset()) -> list[Power]:
    """Every fault that applies to a variant, but for those in `skip`, in the catalogue's order.

    Raises FaultError where a fault fails.
    """
    context = Context(variant)
    passes = own_passes(context)
    rows = frozenset(planned_checks(context, chosen(variant)))
    found = [_judged(fault, passes, rows) for fault in catalogue(passes[0].setting) if fault.name not in skip]
    coarser = [name for name in narrower(variant.dtype) if f"precision.{name}" not in skip]
    return [one for one in found if one is not None] + [_precision(name, passes[0], rows) for name in coarser]


def own_passes(context: Context) -> list[Observed]:
    """A right implementation's passes on the case's own tape: one for each seed, and evaluation."""
    variant = context.variant
    first: Arrays = {}
    found: list[Observed] = []
    for one in passes_of(variant):
        if one.role not in (variant.mode, Role.EVAL):
            continue
        made = PassResult({}, {}, own_draws(variant, one.seed) if variant.mode == "train" else {})
        setting = setting_of(context, one, made, first)
        first = first or setting.draws
        compared = wanted(context)
        expected = {name: array for name, array in flatten(reference(setting)).items() if name in compared}
        exact = one.role == Role.EVAL and noise_layer(context)
        limits = {name: 0.0 if exact else judged_limit(context, name, one.mode) for name in expected}
        found.append(Observed(one, setting, expected, expected, limits))
    return found


def own_draws(variant: Variant, seed: int) -> Draws:
    """The case's tape as uniforms, which also say what another rate would have decided."""
    uniforms = tape_uniforms(variant, seed)
    return {
        key: Draw(NORMAL, uniforms[key], site=key)
        if kind == "normal"
        else Draw(UNIFORM, uniforms[key], "u >= rate", site=key)
        for site in variant.sites
        for key, kind in tape_keys(site)
    }


def _judged(fault: Fault, passes: list[Observed], rows: frozenset[str]) -> Power | None:
    """The fault's largest effect; None where it does not fit the case after all."""
    effects: list[tuple[str, float]] = []
    fits = False
    for one in passes:
        found = predicted((fault,), one.setting)
        if found is None:
            continue
        fits = True
        effects += _effects(one, found, rows, one.one.role != passes[0].one.role)
        if any(ratio > NOTICED and not row.startswith(GRADIENT) for row, ratio in effects):
            break
    by, worst = _largest(effects)
    return Power(fault.name, fault.cause, worst, by) if fits else None


def _largest(effects: list[tuple[str, float]]) -> tuple[str, float]:
    """The row with the largest effect, of the outputs' where one of them notices."""
    outputs = [one for one in effects if not one[0].startswith(GRADIENT) and one[1] > NOTICED]
    return max(outputs or effects, key=lambda effect: effect[1], default=("", 0.0))


def _effects(
    one: Observed, found: Mapping[str, np.ndarray], rows: frozenset[str], beside: bool
) -> Iterator[tuple[str, float]]:
    """(row, effect over limit) for every array that a row of the case compares."""
    for name, array in found.items():
        row = row_of(one.one, name, beside)
        if row in rows and name in one.actual:
            yield row, deviation(one.actual[name], array, one.limits[name])


def row_of(one: Pass, name: str, beside: bool) -> str:
    """The row that compares an array of a pass. `beside`: the pass is not of the case's own mode, but beside those that are.

    Evaluation beside training has one row for all arrays; a case whose own mode is evaluation compares each array.
    """
    if beside:
        return "identity.eval"
    return name if name.startswith(GRADIENT) else f"value.{name}"


def _precision(name: str, one: Observed, rows: frozenset[str]) -> Power:
    """A narrower format's rounding on the case: one draw of it."""
    found: Arrays = predicted((), one.setting.changed(rounding=noise(one.setting.dtype, name, 0))) or {}
    by, worst = _largest(list(_effects(one, found, rows, beside=False)))
    return Power(f"precision.{name}", f"computed in {WORDS[name]}", worst, by)


def unnoticed(found: Iterable[tuple[str, Sequence[Power]]]) -> dict[str, list[str]]:
    """By layer kind, the faults that apply to some of these (layer kind, powers of a case) and that no case of it notices."""
    seen: dict[str, dict[str, bool]] = {}
    for layer, judged in found:
        kind = seen.setdefault(layer, {})
        for one in judged:
            kind[one.fault] = kind.get(one.fault, False) or one.noticed
    missed = {layer: [name for name, noticed in kind.items() if not noticed] for layer, kind in seen.items()}
    return {layer: names for layer, names in missed.items() if names}
