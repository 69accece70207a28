"""Faults planted in a simulated right implementation, through the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "comparison"))

from simulated import TODAY, draw_for

from harness.cases import numpy_dtype
from harness.comparison.context import Context, Evidence
from harness.diagnosis.diagnose import Diagnosis
from harness.diagnosis.fault import Fault, catalogue, planted
from harness.diagnosis.observed import setting_of
from harness.diagnosis.setting import Setting
from harness.execution.plan import passes_of
from harness.records import Arrays, Compared, JobResult, Pass, PassResult, Variant
from harness.running import conclude


def said(diagnosis: Diagnosis) -> str:
    """A diagnosis as a failed row tells it: the cause, its proof and its fix."""
    text = ": ".join(filter(None, (diagnosis.cause, diagnosis.proof)))
    return f"{text}; fix: {diagnosis.fix}" if diagnosis.fix else text


def first_setting(case: Variant) -> Setting:
    """The setting of a case's first pass."""
    context = Context(case)
    one = passes_of(case)[0]
    return setting_of(context, one, PassResult({}, {}, draw_for(context, one) if one.mode == "train" else {}), {})


def named(setting: Setting, names: Iterable[str]) -> list[Fault]:
    """Faults by name."""
    found = {fault.name: fault for fault in catalogue(setting)}
    return [found[name] for name in names]


def passes(case: Variant, *names: str) -> tuple[tuple[Pass, PassResult], ...]:
    """What an implementation with these faults gives: outputs in the case's dtype, and draws also in evaluation."""
    context, first = Context(case), {}
    like = numpy_dtype(case.dtype)
    found = []
    faults: list[Fault] = []
    for one in passes_of(case):
        draws = draw_for(context, one)
        setting = setting_of(context, one, PassResult({}, {}, draws), first)
        first = first or setting.draws
        faults = faults or named(setting, names)
        evaluation = planted(faults)(setting)

        def rounded(arrays: Arrays) -> Arrays:
            return {name: np.asarray(array).astype(like) for name, array in arrays.items()}

        found.append((one, PassResult(rounded(evaluation.outputs), rounded(evaluation.gradients), draws)))
    return tuple(found)


def evidence(case: Variant, *names: str) -> Evidence:
    """The evidence of an implementation with these faults."""
    return Evidence(Context(case), passes(case, *names))


def compared(case: Variant, *names: str) -> Compared:
    """Its rows."""
    return conclude(JobResult(case, case.backends[0], passes(case, *names)), Context(case), TODAY)
