"""A part of a large case rules out what does not fit the whole, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from planting import evidence, first_setting
from port_cases import BOTH, CASES, LOCKED, variant

from harness.diagnosis.advice import Advice
from harness.diagnosis.cutting import SAMPLES, STEPS, cut, local
from harness.diagnosis.diagnose import found
from harness.diagnosis.fault import catalogue
from harness.diagnosis.observed import observed, predicted
from harness.diagnosis.search import Search
from harness.records import Variant

LARGE = {
    "lstm": variant(
        "lstm", {"units": 5, **BOTH}, {"x": (9, 12, 5)}, [{"at": "output", "rate": 0.3}, {"at": "state.h", **LOCKED}]
    ),
    "gru": variant("gru", {"units": 4, **BOTH}, {"x": (8, 9, 3), "h0": (8, 4)}),
    "stack": variant(
        "lstm", {"units": 4, "layers": 2, **BOTH}, {"x": (8, 9, 3)}, [{"at": "between_layers", "rate": 0.4}]
    ),
    "bidirectional": variant("lstm", {"units": 4, "bidirectional": True, **BOTH}, {"x": (8, 9, 3)}),
}


@pytest.mark.parametrize("name", LARGE)
def test_the_reference_on_the_part_is_the_part_of_the_reference(name: str) -> None:
    for one in observed(evidence(LARGE[name])):
        part = cut(one)
        assert part is not None and part.expected is not None
        assert part.setting.inputs["x"].shape[0] == SAMPLES
        assert part.setting.inputs["x"].shape[1] == (9 if name == "bidirectional" else STEPS)
        again = predicted((), part.setting)
        assert again is not None and set(part.expected) <= set(again)
        for key, array in part.expected.items():
            np.testing.assert_allclose(again[key], array, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", LARGE)
def test_local_faults_do_to_the_part_what_they_do_to_the_whole(name: str) -> None:
    one = observed(evidence(LARGE[name]))[0]
    part = cut(one)
    assert part is not None
    checked = 0
    for fault in catalogue(first_setting(LARGE[name])):
        whole, less = predicted((fault,), one.setting), predicted((fault,), part.setting)
        if fault.fresh or whole is None or less is None or not local((fault,)):
            continue
        checked += 1
        for key in part.actual:
            there = whole[key][tuple(slice(size) for size in less[key].shape)]
            np.testing.assert_allclose(less[key], there, rtol=0, atol=1e-12, err_msg=f"{fault.name} {key}")
    assert checked > 30


def searched(case: Variant, *names: str, parts: bool) -> set[str]:
    seen = observed(evidence(case, *names))
    search = Search(seen, singles=60000.0, pairs=0.0)
    if not parts:
        search.parts = []
    return {fault.name for fit in found(seen, Advice(), search).fits for fault in fit.faults}


@pytest.mark.parametrize(
    "fault", ["bias.doubled", "scale.missing at output", "site.feedback", "mask.shared over batch at output (first)",
              "decisions.rate at output", "outputs.states swapped", "inputs.reversed", "steps.reset"],
)  # fmt: skip
def test_the_part_changes_no_answer(fault: str) -> None:
    case = LARGE["lstm"]
    if fault == "site.feedback":
        case = variant("lstm", {"units": 5, **BOTH}, {"x": (9, 12, 5)}, [{"at": "output", "rate": 0.3}])
    with_parts = searched(case, fault, parts=True)
    assert fault in with_parts
    assert with_parts == searched(case, fault, parts=False)


def test_small_cases_are_taken_whole() -> None:
    assert all(cut(one) is None for one in observed(evidence(CASES["plain"])))
