"""A user's own code: driven by the same draws as native layers, judged by the same checks, its errors shown as its own."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from simulated import variant
from target_cases import INPUT, PLAIN, site

from harness.frameworks.contract.layouts import Label, readings
from harness.frameworks.contract.own_files import TargetError
from harness.frameworks.contract.target import checked
from harness.noises import Site
from harness.records import BackendRef, Compared, Variant, Verdict
from harness.reporting.verdicts import reason
from harness.tape import BERNOULLI, Draw, TapeMismatch, assign
from tests.workers import run

PORTS = Path(__file__).parent / "ports"
FRAMEWORKS = [
    "numpy",
    *(
        pytest.param(
            name, marks=pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")
        )
        for name in ("torch", "tensorflow", "jax")
    ),
]
DROPOUT = [{"at": "input", "rate": 0.4, "shared": ["time", "gates"]}, {"at": "output", "rate": 0.3}]


def case(
    framework: str, function: str = "run", dropout: list[dict[str, object]] | None = None, **changes: object
) -> Variant:
    ref = BackendRef(framework, name="my-port", target=f"{PORTS}/port_{framework}.py:{function}")
    made = variant(
        "lstm",
        {"units": 6, "return_sequences": True, "return_state": True},
        {"x": (4, 7, 5)},
        DROPOUT if dropout is None else dropout,
        backends=(ref,),
        gradients=framework != "numpy",
    )
    return dataclasses.replace(made, **changes)


def compared(one: Variant) -> Compared:
    (found,) = run([one])
    return found


def differences(found: Compared) -> dict[str, str]:
    return {row.check: f"{row.verdict}: {reason(row)}" for row in found.rows if row.verdict is not Verdict.PASS}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("draws", ["native", "replay"])
def test_a_right_port_passes_driven_by_its_own_draws_and_by_a_tape(framework: str, draws: str) -> None:
    found = compared(case(framework, draws=draws))
    assert differences(found) == {}
    assert {row.check for row in found.rows} >= {"mask.sites", "mask.shared", "value.y", "state.order"}
    assert found.masks["input"].shape == (1, 4, 1, 5)
    assert found.masks["output"].shape == (4, 7, 6)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ({3: 1, "y": 2}, "not a dict with the key 3: keys are text"),
        ({}, "not an empty dict"),
        ([1], "not list"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_dict_of_outputs(returned: object, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        checked(returned)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_float64_and_evaluation(framework: str) -> None:
    assert differences(compared(case(framework, dtype="float64"))) == {}
    assert differences(compared(case(framework, mode="eval"))) == {}


def torch_rows(function: str, **changes: object) -> dict[str, str]:
    pytest.importorskip("torch")
    return differences(compared(case("torch", function, dropout=[], **changes)))


def test_a_fault_in_a_port_is_caught() -> None:
    found = torch_rows("swapped")
    assert "h and c are swapped" in found["state.order"]


def test_an_error_shows_the_users_own_lines() -> None:
    pytest.importorskip("torch")
    found = compared(case("torch", "raises"))
    (row,) = found.rows
    assert (row.check, row.verdict) == ("run.completes", Verdict.ERROR)
    assert row.cause == "port_torch.py:38: KeyError: 'nothing'"
    assert "in helper" in found.detail
    assert "harness/frameworks" not in found.detail


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("returns_a_tuple", "must return a dict of outputs such as {'y': …}, not tuple"),
        ("forgets_c", "returned no c, h; the case compares: y, h, c"),
        ("no_such", "has no function 'no_such'"),
    ],
)
def test_what_is_no_result_is_told(function: str, words: str) -> None:
    (message,) = torch_rows(function).values()
    assert words in message


def test_what_is_compared_and_was_not_given_is_an_error() -> None:
    found = compared(case("numpy", gradients=True))
    errors = {row.check for row in found.rows if row.verdict is Verdict.ERROR}
    assert errors == {row.check for row in found.rows if "gradient" in row.check} != set()
    assert {row.verdict for row in found.rows if row.check not in errors} == {Verdict.PASS}
    assert "set `gradients: false`" in differences(found)["gradient.x"]


def test_an_output_that_was_not_given_is_an_error_without_gradients_too() -> None:
    found = torch_rows("forgets_c", gradients=False, checks=("value.*", "repeat.*"))
    assert found["value.c"] == "error: gave no output c; it gave: y"
    assert found["repeat.forward"] == "error: gave no output h, c; it gave: y"


def test_a_port_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import numpy\nx = 1 +\n")
    one = case("numpy", dropout=[])
    ref = dataclasses.replace(one.backends[0], target=f"{tmp_path}/broken.py:run")
    (row,) = compared(dataclasses.replace(one, backends=(ref,))).rows
    assert "broken.py cannot be imported: SyntaxError" in row.cause


# --- which draw is which site's ------------------------------------------------------------------------------------------


def placed(native: list[np.ndarray], sites: list[Site], labels: list[Label] | None = None) -> dict[str, np.ndarray]:
    draws = [Draw(BERNOULLI, array) for array in native]
    return {name: draw.values for name, draw in assign(draws, readings(draws, labels or [], sites)[0]).items()}


def mask(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape) < 0.5


@pytest.mark.parametrize(
    "native",
    [
        lambda m: [m],
        lambda m: [m.swapaxes(0, 1)],  # time-major
        lambda m: [m[:, t] for t in range(7)],  # one a step
        lambda m: [m[:, t : t + 1] for t in range(7)],
    ],
)
def test_layouts_of_a_plain_mask(native: object) -> None:
    full = mask(4, 7, 6)
    found = placed(native(full), [site("output", PLAIN, (4, 7, 6))])  # type: ignore[operator]
    assert np.array_equal(found["output"], full)


@pytest.mark.parametrize(
    ("shared", "native"),
    [
        (("time",), lambda m: [m[g, :, 0] for g in range(4)]),  # one a gate
        (("time",), lambda m: [m[:, :, 0]]),  # all gates in one draw
        (("time",), lambda m: [m[:, :, 0].transpose(1, 0, 2).reshape(3, 20)]),  # gates and features in one axis
        ((), lambda m: [m[g, :, t] for t in range(7) for g in range(4)]),  # in the step, one a gate
    ],
)
def test_layouts_of_gate_masks(shared: tuple[str, ...], native: object) -> None:
    full = mask(4, 3, 7, 5) if not shared else mask(4, 3, 1, 5)
    found = placed(native(full), [site("input", INPUT, (4, 3, 7, 5), shared)])  # type: ignore[operator]
    assert np.array_equal(np.broadcast_to(found["input"], full.shape), full)


def test_two_sites_in_the_order_of_the_case_and_labels_out_of_order() -> None:
    sites = [site("input", INPUT, (4, 3, 7, 5), ("time", "gates")), site("output", PLAIN, (3, 7, 6))]
    first, second = mask(3, 5), mask(3, 7, 6)
    found = placed([first, second], sites)
    assert np.array_equal(found["input"].reshape(3, 5), first)
    found = placed([second, first], sites, [Label("output", 0, 1, None), Label("input", 1, 2, None)])
    assert np.array_equal(found["output"], second)


def test_axes_of_one_size_are_told_apart_by_name() -> None:
    full = mask(4, 4, 6)
    sites = [site("output", PLAIN, (4, 4, 6))]
    assert np.array_equal(placed([full], sites)["output"], full)
    named = placed([full], sites, [Label("output", 0, 1, ("time", "batch", "features"))])
    assert np.array_equal(named["output"], full.swapaxes(0, 1))


def test_a_name_at_every_step_holds_for_the_steps_together() -> None:
    full = mask(4, 7, 6)
    labels = [Label("output", step, step + 1, None) for step in range(7)]
    found = placed([full[:, step] for step in range(7)], [site("output", PLAIN, (4, 7, 6))], labels)
    assert np.array_equal(found["output"], full)


def test_initializers_of_a_layer_are_told_from_dropout() -> None:
    with pytest.raises(TapeMismatch, match=r"make the layer with case\.keep\(make\)"):
        placed([mask(5, 24), mask(4, 7, 6)], [site("output", PLAIN, (4, 7, 6))])


def test_nested_loops_are_told_apart_by_name() -> None:
    full = mask(4, 3, 7, 5)
    native = [full[g, :, t] for g in range(4) for t in range(7)]  # for each gate, one a step
    labels = [Label("input", 0, 28, ("gates", "time", "batch", "features"))]
    found = placed(native, [site("input", INPUT, (4, 3, 7, 5))], labels)
    assert np.array_equal(found["input"], full)


@pytest.mark.parametrize("shape", [(4, 7, 5), (3,), (4, 7, 6, 2)])
def test_a_draw_that_fits_no_site_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(TapeMismatch, match="does not fit the case's sites: output"):
        placed([mask(*shape)], [site("output", PLAIN, (4, 7, 6))])
