"""What a port's draws mean where their shapes do not tell it: axes of one size, sites out of order, draws of no use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from simulated import variant
from target_cases import INPUT, PLAIN, PORTS, differences, site

from harness.comparison.keep_rules import nth
from harness.frameworks.contract.layouts import MOST, Label, readings
from harness.frameworks.contract.surplus import one_a_gate, unused
from harness.noises import Site
from harness.records import BackendRef, PassResult
from harness.tape import BERNOULLI, NORMAL, UNUSED, Draw, TapeMismatch, assign
from tests.workers import run

# Batch, time and gates are four; features and units five.
OUTPUT = {"at": "output", "rate": 0.4}
ENTERING = {"at": "input", "rate": 0.4}
LOCKED = {**ENTERING, "shared": ["time", "gates"]}
RIGHT = {
    "time_major_output": [OUTPUT],
    "batch_major_output": [OUTPUT],
    "output_first": [LOCKED, OUTPUT],
    "gate_masks": [{**ENTERING, "shared": ["time"]}],
    "step_masks": [{**ENTERING, "shared": ["gates"]}],
    "gates_then_steps": [{**ENTERING, "shared": []}],
    "steps_then_gates": [{**ENTERING, "shared": []}],
    "draws_four_and_uses_one": [LOCKED],
    "draws_one_too_many": [OUTPUT],
}


WRONG = {
    "time_major_unscaled": ([OUTPUT], "scale"),
    "step_masks": ([{**ENTERING, "shared": ["time"]}], "one value over gates"),
    "gate_masks": ([{**ENTERING, "shared": ["gates"]}], "one value over time"),
}


def judged(functions: Mapping[str, list[dict[str, object]]], draws: str) -> dict[str, dict[str, str]]:
    """What ports of reading_torch.py differ in, each on its case, all in one run."""
    pytest.importorskip("torch")
    config = {"units": 5, "return_sequences": True, "return_state": True}
    cases = [
        variant(
            "lstm",
            config,
            {"x": (4, 4, 5)},
            dropout=dropout,
            backends=(BackendRef("torch", name=function, target=f"{PORTS}/reading_torch.py:{function}"),),
            draws=draws,
            timeout=300.0,
        )
        for function, dropout in functions.items()
    ]
    return {function: differences(found) for function, found in zip(functions, run(cases), strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["native", "replay"])
def test_a_right_port_is_read_as_it_means_its_draws(draws: str) -> None:
    assert judged(RIGHT, draws) == {function: {} for function in RIGHT}


@pytest.mark.slow
def test_a_wrong_port_is_still_named() -> None:
    found = judged({function: dropout for function, (dropout, _) in WRONG.items()}, "native")
    for function, (_, words) in WRONG.items():
        assert any(words in text for text in found[function].values()), found[function]


def mask(*shape: int) -> Draw:
    return Draw(BERNOULLI, np.random.default_rng(sum(shape)).random(shape) < 0.5)


def canonical(draws: list[Draw], sites: list[Site]) -> list[dict[str, np.ndarray]]:
    return [{name: draw.values for name, draw in assign(draws, slots).items()} for slots in readings(draws, [], sites)]


def test_every_reading_is_another_one_and_batch_major_is_the_first() -> None:
    draw = mask(4, 4, 5)
    first, second = canonical([draw], [site("output", PLAIN, (4, 4, 5))])
    assert np.array_equal(first["output"], draw.values)
    assert np.array_equal(second["output"], draw.values.swapaxes(0, 1))


def test_axes_of_different_sizes_have_one_reading() -> None:
    assert len(canonical([mask(4, 3, 5)], [site("output", PLAIN, (4, 3, 5))])) == 1
    assert len(canonical([mask(4, 3, 1)], [site("output", PLAIN, (4, 3, 5))])) == 1


def test_sites_out_of_order_are_found_after_those_in_order() -> None:
    sites = [site("input", PLAIN, (4, 3, 5), ("time",)), site("output", PLAIN, (4, 3, 5))]
    # In order, the first would not share its mask as the case says.
    first, in_order = canonical([mask(4, 3, 5), mask(4, 5)], sites)
    assert {name: array.shape for name, array in first.items()} == {"output": (4, 3, 5), "input": (4, 1, 5)}
    assert {name: array.shape for name, array in in_order.items()} == {"input": (4, 3, 5), "output": (4, 1, 5)}
    both = canonical([mask(4, 3, 5), mask(4, 3, 5)], [site(at, PLAIN, (4, 3, 5)) for at in ("input", "output")])
    assert [list(found) for found in both] == [["input", "output"], ["output", "input"]]


def placed(shapes: list[tuple[int, ...]], sites: list[Site]) -> list[list[str]]:
    """For each reading the site of every draw."""
    return [[slot.site for slot in slots] for slots in readings([mask(*shape) for shape in shapes], [], sites)]


def test_sites_that_draw_in_turn_at_every_step_are_read() -> None:
    """What a loop over time draws, one site after the other, of one form and of two."""
    state = [site(at, PLAIN, (4, 3, 5)) for at in ("state.h", "state.c")]
    found = placed([(4, 5)] * 6, state)
    assert found[0] == ["state.h", "state.c"] * 3
    assert ["state.c", "state.h"] * 3 in found
    # One site's draws after the other's are a reading too.
    assert ["state.h"] * 3 + ["state.c"] * 3 in found
    other = [site("input", PLAIN, (4, 3, 2)), site("output", PLAIN, (4, 3, 5))]
    assert placed([(4, 2), (4, 5)] * 3, other)[0] == ["input", "output"] * 3


def test_draws_of_layers_stand_between_those_of_their_weights() -> None:
    layers = [
        Site(f"layer{n}.weight.recurrent", 0.5, axes=("units", "features"), shape=(5, 20), full=(5, 20))
        for n in range(3)
    ]
    between = Site("between_layers", 0.5, axes=("layers", "batch", "features"), shape=(2, 4, 5), full=(2, 4, 5))
    names = [one.at for one in layers]
    found = placed([(5, 20), (4, 5), (5, 20), (4, 5), (5, 20)], [*layers, between])
    assert found[0] == [names[0], "between_layers", names[1], "between_layers", names[2]]


def test_many_sites_of_one_form_without_a_reading_end_soon() -> None:
    layers = [
        Site(f"layer{n}.weight.recurrent", 0.5, axes=("units", "features"), shape=(5, 20), full=(5, 20))
        for n in range(18)
    ]
    with pytest.raises(TapeMismatch, match="does not fit"):
        readings([mask(5, 20)] * 18 + [mask(7, 7)], [], layers)


def test_a_site_of_every_layer_goes_by_the_name_of_the_case_file() -> None:
    layers = [
        Site(f"layer{n}.weight.recurrent", 0.5, axes=("units", "features"), shape=(5, 20), full=(5, 20))
        for n in range(2)
    ]
    draws = [mask(5, 20), mask(5, 20)]
    (slots, *_) = readings(draws, [Label("weight.recurrent", 0, 2, None)], layers)
    assert [slot.site for slot in slots] == [one.at for one in layers]


def test_the_readings_are_bounded() -> None:
    assert len(canonical([mask(5, 5, 5)], [site("output", PLAIN, (5, 5, 5))])) == 6
    many = [site(f"output{number}", PLAIN, (5, 5, 5)) for number in range(3)]
    assert len(canonical([mask(5, 5, 5) for _ in many], many)) == MOST


def test_draws_of_no_use_belong_to_no_site() -> None:
    draws = [mask(4, 5), mask(3, 2), mask(4, 5)]
    output = site("output", PLAIN, (4, 1, 5))
    with pytest.raises(TapeMismatch, match="does not fit"):
        readings(draws, [], [output])
    (slots,) = readings(draws, [], [output], {1, 2})
    assert [slot.site for slot in slots] == ["output", UNUSED, UNUSED]
    assert list(assign(draws, slots)) == ["output"]


def test_which_draws_matter_is_measured() -> None:
    draws = [mask(4, 5), Draw(NORMAL, np.zeros((4, 5))), mask(4, 5)]
    tried = []

    def program(tape: list[Draw]) -> dict[str, np.ndarray]:
        tried.append(tape)
        return {"y": tape[0].values * 1.0 + 1e-9 * tape[1].values}

    assert unused(draws, {0, 1, 2}, program) == {1, 2}
    # One run of them all, and one for each with that one turned round.
    assert len(tried) == 4
    assert unused(draws, {0}, program) == unused(draws, {1, 2}, program) == set()
    assert unused(draws * 20, set(range(60)), program) == set()


def test_one_draw_a_gate_is_known_by_its_count() -> None:
    gates = site("input", INPUT, (4, 3, 7, 5), ("time",))
    draws = [mask(3, 5) for _ in range(4)]
    assert one_a_gate(readings(draws, [], [gates])[0], [gates]) == [{0, 1, 2, 3}]
    assert one_a_gate(readings([mask(4, 3, 5)], [], [gates])[0], [gates]) == []


def test_a_pass_without_another_reading_is_its_own() -> None:
    other = PassResult({}, {}, {})
    one = PassResult({}, {}, {}, others=(other,))
    assert nth(one, 0) is one
    assert nth(one, 1) is other
    assert nth(other, 1) is other


def test_the_file_of_ports_has_every_port_that_is_named() -> None:
    text = (Path(PORTS) / "reading_torch.py").read_text(encoding="utf-8")
    assert all(f"def {name}(" in text for name in RIGHT)
