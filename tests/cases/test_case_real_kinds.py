"""Every layer kind there is: whatever a case says of it, it loads or is refused with a place, never anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cases import load
from harness.errors import UserError
from harness.layers.base import kinds

NUMBERS = st.integers(-1, 5) | st.sampled_from([0.5, 1.0, 0.0, -0.5, 2.0, float("nan"), float("inf")])
AXES = st.lists(st.sampled_from(["time", "batch", "features", "gates", "height", 0, 1, -1, 7]), max_size=3)
ANY = st.one_of(NUMBERS, st.booleans(), st.none(), AXES, st.sampled_from(["zeros", "hard_sigmoid", "x"]))
SHAPES = st.lists(st.integers(1, 4), max_size=5)


def setting(name: str) -> st.SearchStrategy[object]:
    """Mostly something that fits, so that not only the first check is reached."""
    if name in ("units", "layers", "projection", "vocabulary", "features"):
        return st.integers(1, 4) | ANY
    if name in ("rate", "stddev"):
        return st.floats(0, 1) | ANY
    if name == "shared":
        return AXES | ANY
    return st.booleans() | ANY


@pytest.mark.parametrize("name", sorted(kinds()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data())
def test_any_configuration_loads_or_is_refused(
    name: str, data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kind = kinds()[name]
    fields = kind.Config.model_fields
    config = {}
    for key, field in fields.items():
        if field.is_required() or data.draw(st.integers(0, 3)) == 0:
            config[key] = data.draw(setting(key))
    sites = [*kind.site_names, "input", "nowhere"]
    dropout = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {"at": st.sampled_from(sites), "rate": st.floats(0, 1)},
                optional={
                    "shared": AXES,
                    "noise": st.sampled_from(["bernoulli", "gaussian", "alpha", "additive", "x"]),
                    "scale": st.sampled_from(["inverted", "none", "x"]),
                },
            ),
            max_size=2,
        )
    )
    names = st.sampled_from(["x", "h0", "c0", "z", "lengths", "y"])
    inputs = data.draw(st.dictionaries(names, SHAPES, max_size=3)) | {"x": data.draw(st.just([2, 3, 4]) | SHAPES)}
    case = {
        "about": "x",
        "layer": name,
        "config": config,
        "inputs": {key: {"shape": shape, "fill": "ones"} for key, shape in inputs.items()},
        "backends": ["numpy"],
    }
    if kind.site_names and dropout:
        case["dropout"] = dropout
    Path("case.yaml").write_text(json.dumps(case).replace("NaN", ".nan").replace("Infinity", ".inf"))
    loaded, problems = [], ()
    try:
        loaded = load(["case.yaml"])
    except UserError as error:
        problems = error.problems
    assert len(loaded) == 1 or problems
    assert all(problem.place and problem.place.line == 1 and problem.path for problem in problems)


@pytest.mark.parametrize(("layer", "config"), [("lstm", "units: 2"), ("encoder_decoder", "units: 2")])
def test_layers_that_nobody_means(layer: str, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer has weights with names, so a million of them would take minutes to refuse."""
    monkeypatch.chdir(tmp_path)
    Path("case.yaml").write_text(
        f"about: x\nlayer: {layer}\nconfig: {{{config}, layers: 1000000000000}}\n"
        "inputs: {x: {shape: [2, 3, 4], fill: ones}, z: {shape: [2, 3, 4], fill: ones}}\nbackends: [numpy]\n"
    )
    with pytest.raises(UserError, match=r"config\.layers: must be at most 1000, not 1000000000000"):
        load(["case.yaml"])


INTEGERS = {
    "lengths": """about: a
layer: lstm
config: {units: 3, padding: zeros, return_sequences: true}
inputs:
  x: {shape: [3, 5, 4], fill: normal, seed: 1}
  lengths: GIVEN
weights: {fill: uniform, seed: 2}
backends: [numpy]
""",
    "x": """about: a
layer: embedding
config: {vocabulary: 6, features: 3}
inputs:

  x: GIVEN
weights: {fill: uniform, seed: 2}
backends: [numpy]
""",
}


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("lengths", "{values: [5, 0, 9]}", "yaml:6:12: inputs.lengths: lengths holds 0; its values are integers from 1 to 5"),
        ("lengths", "{values: [5, 2, 6]}", "yaml:6:12: inputs.lengths: lengths holds 6; its values are integers from 1 to 5"),
        ("lengths", "{shape: [3], fill: constant, value: 2.5}", "lengths holds 2.5; its values are integers from 1 to 5"),
        ("x", "{shape: [2, 3], fill: integers, low: 6, high: 9}", "its values are integers from 0 to 5"),
    ],
)  # fmt: skip
def test_integers_out_of_range_are_seen_when_the_case_is_read(
    name: str, values: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("case.yaml").write_text(INTEGERS[name].replace("GIVEN", values), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        list(load([Path("case.yaml")]))
    assert message in str(raised.value)
