"""Outputs printed in a document, standing as a backend.

They come without draws, weights or gradients, so what can be asked of them is little, and every question says what it rests on:
shapes, survivors' scale within the printed digits, and how h and c belong to the sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.cases import recorded_arrays
from harness.comparison.charts import charts_of_recorded
from harness.comparison.checks.base import Finding
from harness.comparison.checks.mask import active_sites
from harness.comparison.checks.noise import elements, noise, noisy_site
from harness.comparison.checks.state import last_step_of, last_step_plans
from harness.comparison.context import Context, Evidence
from harness.comparison.tolerance import printed_limit
from harness.records import Arrays, BackendRef, Pass, PassResult, Role, Verdict
from harness.rounding import unit_roundoff
from harness.tape import BERNOULLI


def findings(context: Context, backend: BackendRef) -> list[Finding]:
    """Every check that a recorded result can answer."""
    outputs = recorded_arrays(backend)
    found = list(shapes(context, outputs))
    sites = active_sites(context)
    if "scale.survivors" in context.kind.checks and len(sites) == 1 and "y" in outputs:
        found.append(survivors(context, outputs["y"], backend))
    if last_step_plans(context):
        found.append(last_step_of(outputs, ""))
    evidence = noise_evidence(context, outputs)
    if evidence:
        found += [*noise.answer(evidence), *elements.answer(evidence)]
    return found


def figures(context: Context, backend: BackendRef) -> dict[str, Any]:
    """What a report draws of a recorded result."""
    outputs = recorded_arrays(backend)
    return charts_of_recorded(context, outputs, noise_evidence(context, outputs))


def noise_evidence(context: Context, outputs: Arrays) -> Evidence | None:
    """The recorded outputs as one pass, where the noise can be read off them."""
    if not (noise_plans(context) and outputs["y"].shape == context.output_shapes["y"]):
        return None
    one = Pass(Role(context.variant.mode), context.variant.seeds[0], context.variant.mode)
    return Evidence(context, ((one, PassResult(outputs, {}, {})),))


def noise_plans(context: Context) -> bool:
    """Noise that can be read off the output alone: all but masked noise, which needs its mask."""
    site = noisy_site(context)
    return site is not None and BERNOULLI not in site.draws


def half_unit(values: np.ndarray, backend: BackendRef) -> np.ndarray:
    """Half a unit in the last printed place of each value."""
    if backend.decimals is not None:
        return np.full(values.shape, 0.5 * 10.0**-backend.decimals)
    assert backend.digits is not None
    return printed_limit(values, backend.digits)


def shapes(context: Context, outputs: Arrays) -> Iterator[Finding]:
    """`value.shape`: the printed arrays have the shapes that the case's configuration gives."""
    wanted = context.output_shapes
    wrong = [
        f"{name} has shape {array.shape}, the case gives {wanted[name]}"
        if name in wanted
        else f"the case has no output {name}"
        for name, array in outputs.items()
        if array.shape != wanted.get(name)
    ]
    verdict = Verdict.FAIL if wrong else Verdict.PASS
    note = ", ".join(f"{name} {array.shape}" for name, array in outputs.items())
    if not outputs:
        yield Finding("value.shape", Verdict.ERROR, cause="no arrays were recorded")
        return
    yield Finding("value.shape", verdict, len(wrong), 0, "arrays", cause="; ".join(wrong), note=note)


def survivors(context: Context, y: np.ndarray, backend: BackendRef) -> Finding:
    """`scale.survivors`: every printed value that is not zero is its input over the keep probability, within its last digit.

    y is printed, so it may be off by half a unit of its last digit, and it was rounded to the case's dtype besides. x is taken to
    be printed so that it can be read back, as NumPy does: the case's bytes are then the document's.
    Which elements were dropped can only be read off the zeros here, so an input that is zero is refused.
    """
    (site,) = active_sites(context)
    x = np.asarray(context.arrays()[0]["x"], dtype=np.float64)
    if x.shape != y.shape:
        return Finding("scale.survivors", Verdict.FAIL, cause=f"output {y.shape}, input {x.shape}")
    if bool((x == 0.0).any()):
        cause = "an input is zero: the zeros of a printed output cannot tell what was dropped"
        return Finding("scale.survivors", Verdict.ERROR, cause=cause)
    kept = y != 0.0
    if not kept.any():
        return Finding("scale.survivors", Verdict.ERROR, cause="nothing survived: nothing was compared")
    room = half_unit(y, backend) + 2.0 * np.abs(y) * unit_roundoff(context.variant.dtype)
    error = np.abs(y - x / site.keep)
    ratio = (error / room)[kept]
    at = tuple(int(index) for index in np.argwhere(kept)[int(ratio.argmax())])
    bad = int(np.count_nonzero(ratio > 1.0))
    cause = f"{bad} of {int(kept.sum())} survivors are not x / {site.keep:g} as printed" if bad else ""
    note = f"{int(kept.sum())} survivors of {y.size}, read off the zeros"
    verdict = Verdict.FAIL if bad else Verdict.PASS
    return Finding(
        "scale.survivors", verdict, float(error[at]), float(room[at]), "absolute", str(list(at)), cause=cause, note=note
    )
