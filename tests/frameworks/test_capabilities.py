"""Declarations: what is not there is an error when a class registers, with file and class; what a job may not ask, a reason."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.commands.layer_limits import limits
from harness.commands.layers import implementing
from harness.frameworks.contract import declaring
from harness.frameworks.contract.adapter import Adapter, implementation, implementations
from harness.frameworks.contract.capabilities import ANY, DECLARED, EVERY, INNER, OWN, Shared, sharing
from harness.layers.base import kinds, words
from harness.noises import Site

ADAPTERS = {found.adapter for found in implementations().values()}
AXES = {"batch", "time", "depth", "height", "width", "features", "gates", "layers", "directions", "inputs", "units"}

#: What is wrong with a declaration, by the declaration.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a site": ({"sites": ("inptu",)}, "no dropout site 'inptu' (did you mean 'input'?)"),
    "a setting": ({"settings": ("paddding",)}, "no setting 'paddding' (did you mean 'padding'?)"),
    "a noise": ({"noises": ("gausian",)}, "no noise 'gausian' (did you mean 'gaussian'?)"),
    "a scale": ({"scales": ("inverse",)}, "no scale 'inverse' (did you mean 'inverted'?)"),
    "a dtype": ({"dtypes": ("flaot32",)}, "no dtype 'flaot32' (did you mean 'float32'?)"),
    "a text for a tuple": ({"sites": "input"}, "sites is a tuple of texts, not 'input'"),
    "a value": (
        {"settings": ("padding",), "values": {"padding": ("zeroes",)}},
        "setting padding is never 'zeroes' (did you mean 'zeros'?)",
    ),
    "values of no setting": ({"values": {"padding": ("zeros",)}}, "values: no setting 'padding' is declared"),
    "shares of no site": (
        {"sites": ("output",), "shared": {"outptu": (OWN,)}},
        "shared: no dropout site 'outptu' is declared (did you mean 'output'?)",
    ),
    "shares": ({"shared": {EVERY: OWN}}, "shared[''] is a tuple of Shared, not Shared(always=(), free=())"),
    "a reason": (
        {"because": {"scalse": "so"}},
        "because: no declaration, setting, option or dropout site 'scalse' is declared (did you mean 'scales'?)",
    ),
    "a choice": ({"choices": {"jit": (1,)}}, "choices: no option 'jit' is declared"),
    "an attribute": ({"noise": ("gaussian",)}, "nobody reads 'noise' (did you mean 'noises'?)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_typo_is_an_error_at_once(name: str) -> None:
    body, message = WRONG[name]
    wrong = type("Typo", (Adapter,), {**body, "__module__": __name__, "run": lambda self, job: None})
    with pytest.raises(ValueError, match=f"test_capabilities.*class Typo: {re.escape(message)}"):
        implementation("mine.Typo", ["torch"], "dropout")(wrong)
    assert ("torch", "dropout", "mine.Typo") not in implementations()


def test_a_layer_kind_that_there_is_not() -> None:
    class Lost(Adapter):
        def run(self, job: Any) -> Any:
            return None

    with pytest.raises(
        ValueError, match=r"test_capabilities\.py:\d+: class .*Lost: no layer kind 'dropuot' \(did you mean"
    ):
        implementation("mine.Lost", ["torch"], ("dropout", "dropuot"))(Lost)
    assert ("torch", "dropout", "mine.Lost") not in implementations()


def test_a_worker_without_kinds_looks_at_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "harness.layers.base")
    assert declaring.kind_words() is None
    assert list(declaring.faults(type("Odd", (Adapter,), {"sites": ("mine",)}), None)) == []
    assert list(declaring.faults(type("Odd", (Adapter,), {"scales": ("mine",)}), None))


def test_what_is_registered_is_valid_and_names_axes_that_there_are() -> None:
    known = words()
    assert known is not None
    for adapter in ADAPTERS:
        assert list(declaring.faults(adapter, declaring.Words(*known))) == []
        for way in (way for ways in adapter.shared.values() for way in ways):
            always = () if isinstance(way.always, slice) else way.always
            assert {*always, *way.free} - {*ANY} <= AXES, adapter
    assert len(DECLARED) == 17


SITE = Site("state.h", 0.3, axes=("gates", "batch", "time", "features"))


@pytest.mark.parametrize(
    ("way", "admitted", "refused", "words"),
    [
        (OWN, (), ("time",), "[]"),
        (Shared(("gates", "time")), ("gates", "time"), ("gates",), "[gates, time]"),
        (Shared(("gates",), ANY), ("gates", "batch"), ("batch",), "[gates] and any further axes"),
        (Shared((), ("time",)), ("time",), ("batch",), "any of [time]"),
        (Shared(("directions", "gates")), ("gates",), (), "[gates]"),
        (Shared(INNER), ("batch", "time"), ("batch", "features"), "[batch, time]"),
    ],
)
def test_ways_of_sharing(way: Shared, admitted: tuple[str, ...], refused: tuple[str, ...], words: str) -> None:
    assert sharing(SITE._replace(shared=admitted), (way,)) is None
    assert sharing(SITE._replace(shared=refused), ()) is None
    said = sharing(SITE._replace(shared=refused), (way,))
    assert said == f"state.h: one mask is shared over {words}; the case asks for shared: [{', '.join(refused)}]"


@pytest.mark.parametrize(
    ("layer", "name", "only"),
    [
        ("lstm", "numpy.lstm", []),
        ("lstm", "torch.nn.LSTM", ["padding: zeros", "scale: inverted", "input shared over [directions, gates]"]),
        ("dropout", "onnxruntime.Dropout", ["masks shared over nothing", "no rate 1", "no gradients", "no replay"]),
        ("dropout", "keras.layers.SpatialDropout2D", ["masks shared over [all but the first and the last]", "rank 4"]),
        ("lstm", "tf.raw_ops.BlockLSTM", ["dtype: float16 or float32", "with tensorflow>=2"]),
        ("encoder_decoder", "torch.nn.LSTMCell", ["input, state.h shared over [gates] and any further axes"]),
    ],
)
def test_the_table_says_what_is_declared(layer: str, name: str, only: list[str]) -> None:
    found = next(one for one in implementing(layer, kinds()[layer].site_names or ("input",)) if one["name"] == name)
    assert set(only) <= set(limits(found))
    assert bool(limits(found)) == bool(only)


def test_two_classes_of_one_name_are_two_lines_of_the_table() -> None:
    found = [one for one in implementing("gaussian_dropout", ("input",)) if one["name"] == "recipe.GaussianDropout"]
    assert [(one["backends"], one["versions"]) for one in found] == [
        (["tensorflow"], ["tensorflow>=2"]),
        (["torch"], []),
    ]
