"""Ports that build layers in the call: initial weights are no dropout, every other draw is seen, raw ops among them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from simulated import variant

from harness.records import BackendRef, Verdict
from harness.reporting.verdicts import reason
from tests.workers import run

PORTS = Path(__file__).parent / "ports"
MISSING = {
    name for name in ("tensorflow", "tf_keras", "keras", "torch", "jax") if importlib.util.find_spec(name) is None
}


def port(*needs: str) -> object:
    file, framework = needs[0], needs[1]
    return pytest.param(
        f"layers_{file}.py", framework, marks=pytest.mark.skipif(bool(MISSING & set(needs[1:])), reason="not installed")
    )


BUILDING = [
    port("tensorflow", "tensorflow", "tf_keras"),
    port("keras", "tensorflow", "keras"),
    port("keras", "torch", "keras"),
    port("keras", "jax", "keras"),
]


def differences(file: str, framework: str, function: str, draws: str = "native") -> dict[str, str]:
    ref = BackendRef(framework, name="my-port", target=f"{PORTS / file}:{function}")
    made = variant("dropout", {"rate": 0.4}, {"x": (6, 7, 5)}, backends=(ref,), draws=draws, gradients=False)
    (found,) = run([made])
    assert found.rows
    return {row.check: reason(row) for row in found.rows if row.verdict is not Verdict.PASS}


@pytest.mark.parametrize("draws", ["native", pytest.param("replay", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(("file", "framework"), BUILDING)
def test_initial_weights_are_no_dropout(file: str, framework: str, draws: str) -> None:
    assert differences(file, framework, "built_in_the_call", draws) == {}


@pytest.mark.parametrize(("file", "framework"), BUILDING)
def test_another_draw_beside_them_is_seen(file: str, framework: str) -> None:
    assert "mask.sites" in differences(file, framework, "noise_for_a_weight")


@pytest.mark.skipif(bool(MISSING & {"tensorflow", "tf_keras"}), reason="TensorFlow is not installed")
def test_raw_ops_are_a_port_s_draws_as_any_other() -> None:
    assert differences("layers_tensorflow.py", "tensorflow", "raw") == {}
    assert differences("layers_tensorflow.py", "tensorflow", "raw", "replay") == {}
    assert "mask.sites" in differences("layers_tensorflow.py", "tensorflow", "raw_beside")
