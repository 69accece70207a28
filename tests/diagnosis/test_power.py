"""What a case cannot notice is listed, and the shipped cases together notice everything."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from planting import first_setting
from port_cases import BOTH, CASES, variant

from harness.cases import load
from harness.diagnosis.fault import catalogue, families
from harness.diagnosis.power import power, unnoticed
from harness.records import Variant

SHIPPED = Path(__file__).resolve().parents[2] / "cases"
PLAIN = CASES["plain"]


def missed(case: Variant) -> set[str]:
    return {one.fault for one in power(case) if not one.noticed}


def with_weights(case: Variant, fill: str, *names: str, **values: float) -> Variant:
    weights = {
        name: dataclasses.replace(spec, fill=fill, **values) if not names or name in names else spec
        for name, spec in case.weights.items()
    }
    return dataclasses.replace(case, weights=weights)


def test_random_weights_hide_nothing() -> None:
    assert missed(PLAIN) == set()


def test_a_case_of_evaluation_notices_by_the_arrays_that_it_compares() -> None:
    found = power(dataclasses.replace(CASES["states"], mode="eval", gradients=False))
    by = {one.fault: one.by for one in found}
    assert by["inputs.state zero initial state"].startswith("value.")
    assert not [one.fault for one in found if not one.noticed]


def test_constant_weights_hide_gate_orders_and_layouts() -> None:
    constant = with_weights(PLAIN, "constant", value=0.3)
    found = missed(dataclasses.replace(constant, gradients=False))
    assert "layout.transposed recurrent_kernel" in found
    assert "layout.reshaped both" in found
    assert sum(name.startswith("gates.order") for name in found) == 115
    assert "bias.doubled" not in found
    assert "outputs.states swapped" not in found
    by_gradients = {one.fault for one in power(constant) if one.by_gradient_alone}
    assert "layout.transposed recurrent_kernel" in by_gradients
    assert not any(
        one.by_gradient_alone for one in power(PLAIN) if one.fault.startswith(("gates.", "layout.", "bias."))
    )


def test_a_zero_bias_hides_what_happens_to_the_bias() -> None:
    found = missed(dataclasses.replace(with_weights(PLAIN, "zeros", "bias"), gradients=False))
    assert {"bias.doubled", "bias.halved", "bias.absent", "gates.order[i,g,f,o] bias alone"} <= {*found}
    assert "bias.forget +1" not in found


def test_one_step_from_zeros_hides_the_recurrence() -> None:
    found = missed(variant("lstm", {"units": 6, **BOTH}, {"x": (4, 1, 3)}))
    assert {
        "layout.transposed recurrent_kernel",
        "bias.forget +1",
        "gates.order[i,g,f,o] recurrent kernel alone",
    } <= found
    assert "gates.order[i,g,f,o] kernel alone" not in found


def test_one_seed_hides_masks_drawn_once_a_run() -> None:
    case = CASES["weight"]
    assert "mask.once a run" not in missed(case)
    assert "mask.once a run" in missed(dataclasses.replace(case, seeds=(0,)))


def test_one_step_hides_a_fresh_mask() -> None:
    case = variant("lstm", {"units": 6, **BOTH}, {"x": (4, 2, 3)}, [{"at": "input", "rate": 0.4, "shared": ["time"]}])
    assert "mask.fresh over time at input" in {one.fault for one in power(case) if one.noticed}
    one = variant("lstm", {"units": 6, **BOTH}, {"x": (4, 1, 3)}, [{"at": "input", "rate": 0.4, "shared": ["time"]}])
    assert "mask.fresh over time at input" not in {found.fault for found in power(one)}


def test_no_gradients_hide_faults_of_the_backward_pass() -> None:
    bare = dataclasses.replace(PLAIN, gradients=False)
    assert not any(one.fault.startswith("gradient.") for one in power(bare))
    only = dataclasses.replace(PLAIN, checks=("value.*",))
    assert {"gradient.stopped bias", "steps.detached"} <= missed(only)


def test_a_rate_of_a_half_has_no_keep_probability_to_confuse() -> None:
    case = variant("dropout", {"rate": 0.5}, {"x": (6, 8, 10)})
    assert not any(one.fault.startswith(("scale.rate", "decisions.rate")) for one in power(case))
    assert any(one.fault.startswith("scale.rate") for one in power(CASES["dropout"]))


def test_a_wide_tolerance_hides_less_precision() -> None:
    assert "precision.bfloat16" not in missed(PLAIN)
    loose = dataclasses.replace(PLAIN, tolerance={"value": 10.0, "gradient": 1e6})
    assert "precision.bfloat16" in missed(loose)


def test_unnoticed_is_by_layer_and_over_all_cases() -> None:
    blind = dataclasses.replace(with_weights(PLAIN, "constant", value=0.3), gradients=False)
    assert "layout.reshaped both" in unnoticed([("lstm", power(blind))])["lstm"]
    assert unnoticed([("lstm", power(blind)), ("lstm", power(PLAIN))]) == {}


@pytest.mark.slow
def test_the_shipped_cases_leave_no_fault_unnoticed() -> None:
    seen: dict[tuple[str, str], bool] = {}
    applied: set[str] = set()
    for case in load([SHIPPED]):
        known = frozenset(fault for (layer, fault), noticed in seen.items() if noticed and layer == case.layer)
        for one in power(case, skip=known):
            # By its outputs, unless it is a fault of the backward pass: not every port has gradients.
            silent = one.fault.startswith("gradient.") or "detached" in one.fault
            noticed = one.noticed and (silent or not one.by_gradient_alone)
            seen[case.layer, one.fault] = seen.get((case.layer, one.fault), False) or noticed
        setting = first_setting(case)
        applied |= {one.name for one in families().values() if one.name not in applied and list(one.find(setting))}
    assert [key for key, noticed in seen.items() if not noticed] == []
    assert set(families()) - applied == set()


def test_power_uses_the_catalogue() -> None:
    names = {one.name for one in catalogue(first_setting(PLAIN))}
    assert names <= {one.fault for one in power(PLAIN)}
