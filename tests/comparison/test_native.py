"""What a framework's own arrays show: planted layouts, orders and biases change the entry that they should, and no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from simulated import TODAY, right, variant

from harness.comparison.context import Context
from harness.execution.plan import passes_of
from harness.records import Arrays, JobResult, Variant
from harness.running import conclude

ORDER = "ifgo"


def lstm(**settings: Any) -> Variant:
    """An LSTM of 6 units on (3, 4, 5); every weight has values of its own."""
    config = {"units": 6, "return_sequences": True, "return_state": True, **settings}
    made = variant("lstm", config, {"x": (3, 4, 5)})
    weights = {name: dataclasses.replace(spec, stream=name) for name, spec in made.weights.items()}
    return dataclasses.replace(made, weights=weights)


CASE = lstm()
BIASED = lstm(forget_bias=1.0)
STACK = lstm(layers=2)


def measured(case: Variant, native: Callable[[Context], Arrays]) -> dict[str, str]:
    """The profile of a right implementation with these arrays of its own."""
    context = Context(case)
    passes = tuple((one, right(context, one)) for one in passes_of(case))
    result = JobResult(case, case.backends[0], passes, native=native(context))
    return dict(conclude(result, context, TODAY).profile)


def gates(array: np.ndarray, order: str) -> np.ndarray:
    """A canonical array with its gates in another order."""
    blocks = dict(zip(ORDER, np.split(array, 4, axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in order], axis=-1)


def keras(context: Context, order: str = ORDER, states: str = "hc") -> Arrays:
    """One kernel (in, out) each, one bias; states as the reference has them without dropout."""
    weights = context.arrays()[1]
    found = {name: gates(array, order) for name, array in weights.items()}
    outputs = context.reference({}, train=False, gradients=False).outputs
    found |= {f"state{index}": outputs[name].astype(np.float32) for index, name in enumerate(states)}
    return found


def torch(context: Context, forget: float = 0.0) -> Arrays:
    """Transposed kernels, two biases, the second with a constant for the forget gate."""
    found = keras(context)
    second = np.zeros_like(found["bias"])
    second[6:12] = forget
    return {
        "weight_ih_l0": found["kernel"].T,
        "weight_hh_l0": found["recurrent_kernel"].T,
        "bias_ih_l0": found["bias"],
        "bias_hh_l0": second,
        "state0": found["state0"],
        "state1": found["state1"],
    }


def joined(context: Context) -> Arrays:
    """TensorFlow 1: one kernel (in + units, out) with gates i, g, f, o, state (c, h)."""
    found = keras(context, "igfo", "ch")
    kernel = np.concatenate([found.pop("kernel"), found.pop("recurrent_kernel")])
    return {"lstm_cell/kernel": kernel, "lstm_cell/bias": found["bias"]} | found_states(found)


def found_states(found: Arrays) -> Arrays:
    return {name: found[name] for name in ("state0", "state1")}


def test_one_kernel_of_every_kind() -> None:
    found = measured(CASE, keras)
    assert found["gate order"] == "i, f, g, o"
    assert found["kernel"] == "(in, out), input and recurrent apart"
    assert found["biases"] == "1"
    assert found["forget bias"] == "nothing added"
    assert found["state order"] == "h, c"
    assert found["own parameters"] == "kernel (5, 24), recurrent_kernel (6, 24), bias (24)"


@pytest.mark.parametrize("order", ["igfo", "iofg", "fiog"])
def test_another_gate_order(order: str) -> None:
    found = measured(CASE, lambda context: keras(context, order))
    assert found["gate order"] == ", ".join(order)
    assert found["biases"] == "1"
    assert {**found, "gate order": "i, f, g, o"} == measured(CASE, keras)


def test_swapped_states_change_their_entry_alone() -> None:
    found = measured(CASE, lambda context: keras(context, states="ch"))
    assert found["state order"] == "c, h"
    assert {**found, "state order": "h, c"} == measured(CASE, keras)


def test_a_transposed_kernel_and_two_biases() -> None:
    found = measured(CASE, torch)
    assert found["kernel"] == "(out, in), input and recurrent apart"
    assert found["biases"] == "2, added"
    assert found["forget bias"] == "nothing added"
    assert found["gate order"] == "i, f, g, o"


def test_one_array_for_input_and_state() -> None:
    found = measured(BIASED, joined)
    assert found["kernel"] == "(in, out), input and recurrent in one array, input first"
    assert found["gate order"] == "i, g, f, o"
    assert found["forget bias"] == "1, added at run time"
    assert found["state order"] == "c, h"


def test_a_forget_bias_that_is_stored() -> None:
    assert measured(BIASED, lambda context: torch(context, 1.0))["forget bias"] == "1, stored in a second bias"
    assert "forget bias" not in measured(BIASED, lambda context: torch(context, 0.5))


def test_two_biases_in_one_array_and_a_kernel_of_its_shape() -> None:
    """A kernel of two features is (2, 4H) as two biases are; it is known by its values."""
    made = variant("lstm", {"units": 6, "return_sequences": True, "return_state": True}, {"x": (3, 4, 2)})
    weights = {name: dataclasses.replace(spec, stream=name) for name, spec in made.weights.items()}
    narrow = dataclasses.replace(made, weights=weights)
    assert measured(narrow, keras)["biases"] == "1"

    def native(context: Context) -> Arrays:
        found = keras(context)
        return {**found, "bias": np.stack([found["bias"], np.zeros_like(found["bias"])])}

    assert measured(narrow, native)["biases"] == "2, added"
    assert measured(CASE, native)["biases"] == "2, added"


def test_an_array_for_every_gate() -> None:
    def flax(context: Context) -> Arrays:
        found = keras(context)
        parts = {}
        for index, gate in enumerate(ORDER):
            block = slice(6 * index, 6 * index + 6)
            parts[f"i{gate}/kernel"] = found["kernel"][:, block]
            parts[f"h{gate}/kernel"] = found["recurrent_kernel"][:, block]
            parts[f"h{gate}/bias"] = found["bias"][block]
        return parts

    found = measured(CASE, flax)
    assert found["gate order"] == "an array each: i hi/kernel, f hf/kernel, g hg/kernel, o ho/kernel"
    assert found["biases"] == "1"
    assert found["forget bias"] == "nothing added"
    assert "state order" not in found


def test_gates_that_are_interleaved() -> None:
    def native(context: Context) -> Arrays:
        found = keras(context)
        return {
            name: array.reshape(*array.shape[:-1], 4, 6).swapaxes(-1, -2).reshape(array.shape)
            for name, array in found.items()
            if name in ("kernel", "recurrent_kernel")
        }

    assert measured(CASE, native)["gate order"] == "i, f, g, o, interleaved by unit"


def test_layers_that_differ_are_told_apart() -> None:
    def native(context: Context) -> Arrays:
        weights = context.arrays()[1]
        return {
            name: gates(array, "igfo") if name.startswith("layer1") else array
            for name, array in weights.items()
            if "bias" not in name
        }

    assert measured(STACK, native)["gate order"] == "layer 0: i, f, g, o; layer 1: i, g, f, o"


def test_arrays_that_are_not_the_weights_tell_nothing() -> None:
    def native(context: Context) -> Arrays:
        generator = np.random.default_rng(0)
        return {name: generator.random(array.shape, np.float32) for name, array in keras(context).items()}

    found = measured(CASE, native)
    assert not {"gate order", "kernel", "biases", "state order"} & set(found)


def test_weights_that_repeat_each_other_tell_nothing() -> None:
    """Kernels whose values are the same stand in two places."""
    same = {name: dataclasses.replace(spec, stream="") for name, spec in CASE.weights.items()}
    assert "kernel" not in measured(dataclasses.replace(CASE, weights=same), keras)


def test_weights_of_one_value_tell_nothing() -> None:
    found = measured(CASE, lambda context: {name: np.ones_like(array) for name, array in keras(context).items()})
    assert not {"gate order", "kernel"} & set(found)


def test_what_cannot_be_read_is_said() -> None:
    context = Context(CASE)
    passes = tuple((one, right(context, one)) for one in passes_of(CASE))
    result = JobResult(CASE, CASE.backends[0], passes, native_failure="TypeError: no")
    assert conclude(result, context, TODAY).profile["own parameters"] == "could not be read: TypeError: no"
