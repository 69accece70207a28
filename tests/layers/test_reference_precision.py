"""How precise the float64 references are: against 50 digits of mpmath, forward and gradient, on small cases.

The bound on an implementation, eight times the spread of noisy runs, counts the reference as exact: its own error must be
a small part of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.layers.base import DropoutSpec
from harness.rounding import Rounding
from tests.layers.layer_cases import Scenario, full_masks, scenario

mpmath = pytest.importorskip("mpmath")
Exact = dict[str, np.ndarray]  # of dtype object: mpf

FULL = {"units": 2, "return_sequences": True, "return_state": True}
SHAPES = {"x": (2, 3, 2), "h0": (2, 2), "c0": (2, 2)}
DROPOUT = [DropoutSpec(at="input", rate=0.3), DropoutSpec(at="state.h", rate=0.4), DropoutSpec(at="output", rate=0.3)]


def exact(array: np.ndarray) -> np.ndarray:
    return np.vectorize(mpmath.mpf, otypes=[object])(array)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda value: 1 / (1 + mpmath.exp(-value)), otypes=[object])(z)


def tanh(z: np.ndarray) -> np.ndarray:
    return np.vectorize(mpmath.tanh, otypes=[object])(z)


def lstm(arrays: Exact, masks: Exact) -> Exact:
    """The equations of document and paper on exact numbers."""
    h, c, y = arrays["h0"], arrays["c0"], []
    units = h.shape[1]
    for t in range(arrays["x"].shape[1]):
        z = []
        for gate in range(4):
            block = slice(gate * units, (gate + 1) * units)
            from_x = (arrays["x"][:, t] * masks["input"][gate, :, t]).dot(arrays["kernel"][:, block])
            from_h = (h * masks["state.h"][gate, :, t]).dot(arrays["recurrent_kernel"][:, block])
            z.append(from_x + from_h + arrays["bias"][block])
        c = sigmoid(z[1]) * c + sigmoid(z[0]) * tanh(z[2])
        h = sigmoid(z[3]) * tanh(c)
        y.append(h * masks["output"][:, t])
    return {"y": np.stack(y, axis=1), "h": h, "c": c}


def gru(arrays: Exact, masks: Exact) -> Exact:
    """The reset-after GRU on exact numbers."""
    h, y = arrays["h0"], []
    units = h.shape[1]
    for t in range(arrays["x"].shape[1]):
        a, q = [], []
        for gate in range(3):
            block = slice(gate * units, (gate + 1) * units)
            from_x = (arrays["x"][:, t] * masks["input"][gate, :, t]).dot(arrays["kernel"][:, block])
            from_h = (h * masks["state.h"][gate, :, t]).dot(arrays["recurrent_kernel"][:, block])
            a.append(from_x + arrays["bias"][block])
            q.append(from_h + arrays["recurrent_bias"][block])
        z, r = sigmoid(a[0] + q[0]), sigmoid(a[1] + q[1])
        h = z * h + (1 - z) * tanh(a[2] + r * q[2])
        y.append(h * masks["output"][:, t])
    return {"y": np.stack(y, axis=1), "h": h}


def exact_masks(case: Scenario) -> Exact:
    """Decisions over the keep probability, in 50 digits; the rate is the float64 that the case holds."""
    found = {}
    for site in case.sites:
        keep = 1 - mpmath.mpf(site.rate)
        found[site.at] = np.vectorize(lambda kept, keep=keep: mpmath.mpf(int(kept)) / keep, otypes=[object])(
            case.draws[site.at]
        )
    return found


def loss(outputs: Exact, cotangents: Exact) -> Any:
    return sum((outputs[name] * cotangents[name]).sum() for name in outputs)


@pytest.mark.parametrize(("layer", "program"), [("lstm", lstm), ("gru", gru)])
def test_the_reference_is_within_a_quarter_of_its_bound(layer: str, program: Callable[[Exact, Exact], Exact]) -> None:
    shapes = SHAPES if layer == "lstm" else {name: SHAPES[name] for name in ("x", "h0")}
    case = scenario(layer, FULL, shapes, DROPOUT, seed=2)
    found = case.run()
    noisy = [case.run(rounding=Rounding.of("float64", seed)) for seed in range(3)]
    with mpmath.workdps(50):
        arrays = {name: exact(value) for name, value in {**case.inputs, **case.weights}.items()}
        cotangents = {name: exact(value) for name, value in case.cotangents.items()}
        masks = exact_masks(case)
        for name, value in program(arrays, masks).items():
            error = np.abs(exact(found.outputs[name]) - value).max()
            spread = max(np.abs(run.outputs[name] - found.outputs[name]).max() for run in noisy)
            assert error <= 2 * spread, name
            assert spread < 1e-14, name
        step = mpmath.mpf(10) ** -20
        for name, value in arrays.items():
            gradient = np.empty(value.shape, dtype=object)
            for index in np.ndindex(value.shape):
                sides = []
                for sign in (1, -1):
                    moved = value.copy()
                    moved[index] = moved[index] + sign * step
                    sides.append(loss(program({**arrays, name: moved}, masks), cotangents))
                gradient[index] = (sides[0] - sides[1]) / (2 * step)
            error = np.abs(exact(found.gradients[name]) - gradient).max()
            spread = max(np.abs(run.gradients[name] - found.gradients[name]).max() for run in noisy)
            assert error <= 2 * spread, name
            assert spread < 1e-12, name


def test_the_exact_program_would_see_a_fault() -> None:
    """A mask used one gate too late is far outside of what the test above allows."""
    case = scenario("lstm", FULL, SHAPES, DROPOUT, seed=2)
    masks = {name: exact(value) for name, value in full_masks(case).items()}
    masks["input"] = np.roll(masks["input"], 1, axis=0)
    arrays = {name: exact(value) for name, value in {**case.inputs, **case.weights}.items()}
    assert np.abs(exact(case.run().outputs["y"]) - lstm(arrays, masks)["y"]).max() > 1e-3
