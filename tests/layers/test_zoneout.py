"""Zoneout: the float64 reference against a loop written from the paper, and the recipes against the reference."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.numpy.zoneout import ZoneoutLstm as NumpyZoneout
from harness.layers.base import DropoutSpec, Refused, kinds
from tests.frameworks.adapter_jobs import FULL, Call, at

BATCH, TIME, FEATURES, UNITS = 3, 5, 2, 4
CONFIG = {**FULL, "units": UNITS}
ARRAYS = np.random.default_rng(4)
INPUTS = {
    "x": ARRAYS.normal(size=(BATCH, TIME, FEATURES)),
    "h0": ARRAYS.normal(size=(BATCH, UNITS)),
    "c0": ARRAYS.normal(size=(BATCH, UNITS)),
}
RECIPES = [
    ("numpy", "numpy.zoneout_lstm"),
    pytest.param(
        "torch",
        "recipe.zoneout_lstm",
        marks=pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
    ),
]


def call(backend: str = "numpy", name: str = "numpy.zoneout_lstm", h: float = 0.3, c: float = 0.6, **more: Any) -> Call:
    """A call with those rates; `shared` over both sites."""
    shared = more.pop("shared", ())
    sites = [at("state.h", h, *shared), at("state.c", c, *shared)]
    return Call(backend, name, "zoneout_lstm", more.pop("config", CONFIG), sites, inputs=INPUTS, **more)


def naive(one: Call, share: Any) -> dict[str, np.ndarray]:
    """The paper's section 3, element by element; share(at, b, t, u): how much of the new value is taken."""

    def sigmoid(z: float) -> float:
        return float(1.0 / (1.0 + np.exp(-z)))

    weights = one.job.weights
    y, last_h, last_c = np.zeros((BATCH, TIME, UNITS)), INPUTS["h0"].copy(), INPUTS["c0"].copy()
    for b in range(BATCH):
        for t in range(TIME):
            z = INPUTS["x"][b, t] @ weights["kernel"] + last_h[b] @ weights["recurrent_kernel"] + weights["bias"]
            h, c = last_h[b].copy(), last_c[b].copy()
            for u in range(UNITS):
                i, f, o = (sigmoid(z[gate * UNITS + u]) for gate in (0, 1, 3))
                new_c = f * last_c[b, u] + i * np.tanh(z[2 * UNITS + u])
                new_h = o * np.tanh(new_c)
                d_h, d_c = share("state.h", b, t, u), share("state.c", b, t, u)
                h[u] = d_h * new_h + (1.0 - d_h) * last_h[b, u]
                c[u] = d_c * new_c + (1.0 - d_c) * last_c[b, u]
            last_h[b], last_c[b] = h, c
            y[b, t] = h
    return {"y": y, "h": last_h, "c": last_c}


def test_the_reference_is_the_paper_in_training_and_in_evaluation() -> None:
    one = call()
    result = one.run()
    taken = {name: draw.values >= (0.3 if name == "state.h" else 0.6) for name, draw in result.draws.items()}
    found = one.reference(result.draws)
    for name, value in naive(one, lambda name, b, t, u: float(taken[name][b, t, u])).items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-13)
    still = call(mode="eval")
    found = still.reference({})
    for name, value in naive(still, lambda name, b, t, u: 0.7 if name == "state.h" else 0.4).items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("shared", [(), ("time",), ("batch",), ("time", "batch", "features")])
@pytest.mark.parametrize(("backend", "name"), RECIPES)
def test_the_recipes_give_the_reference_and_its_gradients(backend: str, name: str, shared: Any, mode: str) -> None:
    """NumPy's gradients are complex steps, torch's autograd: neither knows the reference's backward pass."""
    for dtype in ("float64", "float32"):
        one = call(backend, name, shared=shared, mode=mode, dtype=dtype)
        result = one.run()
        assert one.worst(result) <= 1.0
        assert set(result.draws) == ({"state.h", "state.c"} if mode == "train" else set())
        if mode == "train":
            assert one.worst(one.run(tape=one.tape())) <= 1.0


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize(("backend", "name"), RECIPES)
def test_rate_0_is_the_lstm_and_rate_1_never_moves(backend: str, name: str, mode: str) -> None:
    one = call(backend, name, 0.0, 0.0, mode=mode)
    result = one.run()
    plain = Call("numpy", "numpy.lstm", "lstm", CONFIG, inputs=INPUTS).run().outputs
    for key, value in plain.items():
        np.testing.assert_allclose(result.outputs[key], value, rtol=0, atol=1e-14)
    assert not result.draws
    still = call(backend, name, 1.0, 1.0, mode=mode)
    result = still.run()
    assert still.worst(result) <= 1.0
    np.testing.assert_array_equal(result.outputs["h"], INPUTS["h0"])
    np.testing.assert_array_equal(result.outputs["c"], INPUTS["c0"])


@pytest.mark.parametrize(
    "blend",
    [
        lambda new, old, kept: np.where(kept, new, 0.0),
        lambda new, old, kept: np.where(kept, old, new),
        lambda new, old, kept: np.where(kept, new / 0.7, old),
    ],
    ids=["zero instead of the old value", "kept for dropped", "scaled"],
)
def test_a_wrong_blend_is_seen(monkeypatch: pytest.MonkeyPatch, blend: Any) -> None:
    def planted(self: Any, job: Any, at: str, draws: Any) -> Any:
        return lambda new, old, t: blend(new, old, draws[at][:, t])

    monkeypatch.setattr(NumpyZoneout, "blend", planted)
    one = call()
    assert one.worst(one.run()) > 1.0


def test_the_mean_instead_of_decisions_is_seen() -> None:
    one = call()
    result = one.run()
    other = one.run(mode="eval")
    assert one.worst(result._replace(outputs=other.outputs)) > 1.0


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"at": "output", "rate": 0.5}, "no site 'output' here; there are: state.h, state.c"),
        ({"at": "state.h", "rate": 0.5, "noise": "gaussian"}, "no noise 'gaussian' at state.h: zoneout"),
        ({"at": "state.h", "rate": 0.5, "scale": "none"}, "nothing to scale"),
        ({"at": "state.h", "rate": 1.5}, "probability"),
    ],
)
def test_what_a_case_may_not_ask(entry: dict[str, Any], words: str) -> None:
    kind = kinds()["zoneout_lstm"]
    with pytest.raises(Refused, match=words):
        kind.sites(kind.Config(units=4), [DropoutSpec(**entry)], {"x": (2, 3, 4)})


def test_a_dropout_layer_refuses_zoneout() -> None:
    one = call()
    with pytest.raises(Unsupported, match="has no zoneout noise"):
        Call("numpy", "numpy.lstm", "lstm", CONFIG, inputs=INPUTS).run(sites=one.sites)
