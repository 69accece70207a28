"""A deviation is judged by the sensitivity of the draws that it belongs to, where those of the first tape leave it in doubt."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated import judged, variant

from harness.comparison.context import GRADIENT, Context
from harness.execution.plan import make_tape
from harness.layers._arithmetic import Arithmetic
from harness.records import Pass, PassResult, Verdict
from harness.rounding import Rounding

NAME = "gradient.layer1.recurrent_kernel"
DROPPED_ROWS = variant(
    "lstm",
    {"units": 8, "layers": 2, "return_sequences": True, "return_state": True},
    {"x": (4, 7, 5)},
    [{"at": "weight.recurrent", "rate": 0.5, "shared": ["gates", "units"]}],
    seeds=tuple(range(12)),
    draws="replay",
)


def off_by(size: float, seed: int, case_mode: str = "train"):  # type: ignore[no-untyped-def]
    """Move one element of the gradient, in the pass of one seed, by `size`."""

    def mutate(_context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.seed != seed or one.role != case_mode:
            return result
        gradients = dict(result.gradients)
        changed = gradients[NAME.removeprefix(GRADIENT)].astype(np.float64)
        changed[0, 0] += size
        gradients[NAME.removeprefix(GRADIENT)] = changed.astype(np.float32)
        return dataclasses.replace(result, gradients=gradients)

    return mutate


def test_limits_follow_the_draws() -> None:
    context = Context(DROPPED_ROWS)
    found = {seed: context.bounds_on(make_tape(DROPPED_ROWS, seed), "train")[NAME].limit for seed in DROPPED_ROWS.seeds}
    assert found[0] == context.bounds("train")[NAME].limit
    low, high = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    assert found[high] > 1.5 * found[low]  # or there would be nothing to test
    between = 0.5 * (found[low] + found[high])
    case = dataclasses.replace(DROPPED_ROWS, seeds=(low, high))
    for seed, verdict in ((low, Verdict.FAIL), (high, Verdict.PASS)):
        rows = {row.check: row for row in judged(case, off_by(between, seed)).rows}
        assert rows[NAME].verdict is verdict
        assert rows[NAME].limit == pytest.approx(found[seed])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 0.99])
def test_a_rounded_rate_is_within_the_noise_of_its_reciprocal(rate: float) -> None:
    """Equinox computes 1 - rate in float32, whose error grows as 1 / keep."""
    f32 = np.float32
    mask = np.array([0.0, 1.0, 1.0]) / (1.0 - rate)
    arithmetic = Arithmetic(Rounding.of("float32", 0))
    noisy = arithmetic.mask(mask)
    assert noisy is not None
    assert noisy[0] == 0.0
    assert noisy[1] == noisy[2]  # one constant, one error
    error = abs(float(f32(1) / (f32(1) - f32(rate))) - mask[1])
    assert error <= 2.0 * abs(noisy[1] - mask[1])
    assert abs(noisy[1] / mask[1] - 1.0) <= 1.01 * 2.0**-24 * mask[1]


def test_half_formats_take_keep_from_float32() -> None:
    """Or a rate near 1 would make every case ill-conditioned: measured, all frameworks stay within one rounding."""
    mask = np.array([0.0, 100.0])
    noisy = Arithmetic(Rounding.of("bfloat16", 0)).mask(mask)
    assert noisy is not None
    assert abs(noisy[1] / 100.0 - 1.0) <= 1.01 * 2.0**-8


def test_noise_that_is_no_mask_is_rounded_element_by_element() -> None:
    values = 1.0 + np.random.default_rng(0).normal(size=100)
    noisy = Arithmetic(Rounding.of("float32", 0)).mask(values)
    assert noisy is not None
    assert np.abs(noisy / values - 1.0).max() <= 2.0**-24
    assert len(set((noisy / values).tolist())) > 50


@pytest.mark.parametrize("activation", ["hard_sigmoid", "hard_sigmoid_keras2"])
def test_a_saturated_gate_is_no_kink_that_rounding_crosses(activation: str) -> None:
    case = variant("lstm", {"units": 6, "recurrent_activation": activation}, {"x": (4, 7, 5)})
    # Large inputs: many gates saturate.
    case = dataclasses.replace(case, inputs={"x": dataclasses.replace(case.inputs["x"], stddev=6.0)})
    context = Context(case)
    gradients = {name: bound for name, bound in context.bounds("train").items() if name.startswith(GRADIENT)}
    assert gradients
    for name, bound in gradients.items():
        assert not bound.ill_conditioned, name
        assert bound.limit < 1e-4 * bound.magnitude, name
