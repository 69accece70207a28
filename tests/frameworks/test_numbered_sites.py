"""A site that each layer has under its own number, `layer17.weight.recurrent`: as many as there are layers, everywhere."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest
from simulated import variant

from harness.frameworks.contract.adapter import Unsupported
from harness.records import ArraySpec, BackendRef, Verdict
from tests.frameworks.adapter_jobs import Call, at
from tests.workers import run

LAYERS = 18
MODEL = {"vocabulary": 7, "features": 3, "units": 3, "layers": LAYERS}
DROPPED = [at("weight.recurrent", 0.3, "inputs")]


@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.exhaustive)])
def test_a_deep_language_model(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    made = variant(
        "awd_lstm",
        MODEL,
        {"x": (2, 3)},
        DROPPED,
        backends=(BackendRef(backend),),
        gradients=False,
        checks=("mask.sites", "value.*"),
        timeout=600.0,
    )
    made = dataclasses.replace(made, inputs={"x": ArraySpec((2, 3), fill="integers", low=0, high=6)})
    assert [site.at for site in made.sites] == [f"layer{layer}.weight.recurrent" for layer in range(LAYERS)]
    found = run([made])
    assert found
    for one in found:
        assert {row.check: row.cause for row in one.rows if row.verdict is not Verdict.PASS} == {}
        sites = next(row for row in one.rows if row.check == "mask.sites")
        assert sites.measured == LAYERS


def test_a_number_is_no_leave_to_drop_elsewhere() -> None:
    """What an adapter does not declare it refuses under any number, and says which."""
    words = np.array([[0, 1, 2], [3, 4, 5]])
    call = Call("numpy", "numpy.awd_lstm", "awd_lstm", MODEL, DROPPED, inputs={"x": words})
    (*_, last) = call.sites
    with pytest.raises(Unsupported, match=r"no dropout at 'layer17\.state\.c'"):
        call.run(sites=(last._replace(at="layer17.state.c"),))
    with pytest.raises(Unsupported, match=r"no dropout at 'deep\.weight\.recurrent'"):
        call.run(sites=(last._replace(at="deep.weight.recurrent"),))
