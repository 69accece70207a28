"""Resolving sites: axis names, shared axes, mask shapes, and refusals with their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from harness.layers._sites import axes_of, draw_of, shared_axes
from harness.layers.base import DropoutSpec, Refused, kinds, tape_keys
from harness.records import Site

EVERY_KIND = {
    "dropout": {"rate": 0.5},
    "gaussian_dropout": {"rate": 0.5},
    "gaussian_noise": {"stddev": 1.0},
    "masked_gaussian_noise": {"rate": 0.5, "stddev": 1.0},
    "alpha_dropout": {"rate": 0.5},
    "lstm": {"units": 4},
    "encoder_decoder": {"units": 4},
}

LSTM_X = {"x": (5, 7, 3)}


def test_every_kind_is_found_without_a_list() -> None:
    assert set(EVERY_KIND) <= set(kinds())
    for name, kind in kinds().items():
        assert kind.name == name


@pytest.mark.parametrize(
    ("rank", "axes"),
    [
        (0, ()),
        (1, ("features",)),
        (2, ("batch", "features")),
        (3, ("batch", "time", "features")),
        (4, ("batch", "height", "width", "features")),
        (5, ("batch", "depth", "height", "width", "features")),
        (6, ("0", "1", "2", "3", "4", "5")),
    ],
)
def test_axes_by_rank(rank: int, axes: tuple[str, ...]) -> None:
    assert axes_of(rank) == axes


@pytest.mark.parametrize("shared", [("time",), (1,), ("1",), (-2,)])
def test_an_axis_by_name_or_by_number(shared: tuple[Any, ...]) -> None:
    assert shared_axes(shared, axes_of(3), ("config", "shared")) == ("time",)


@pytest.mark.parametrize(
    ("shared", "index", "words"),
    [
        (("tmie",), 0, ["'tmie'", "did you mean 'time'", "batch, time, features"]),
        (("batch", "gates"), 1, ["'gates'"]),
        ((3,), 0, ["no axis 3"]),
        ((-4,), 0, ["no axis -4"]),
        (("time", 1), 1, ["twice"]),
    ],
)
def test_a_wrong_axis_is_refused_at_its_place(shared: tuple[Any, ...], index: int, words: list[str]) -> None:
    with pytest.raises(Refused) as caught:
        shared_axes(shared, axes_of(3), ("config", "shared"))
    assert caught.value.path == ("config", "shared", index)
    for word in words:
        assert word in caught.value.message


def test_shared_axes_come_in_the_order_of_the_array() -> None:
    assert shared_axes(("features", "batch"), axes_of(3), ()) == ("batch", "features")


@pytest.mark.parametrize(
    ("shared", "shape"),
    [((), (2, 3, 4, 5)), (("height", "width"), (2, 1, 1, 5)), (("batch", "features"), (1, 3, 4, 1))],
)
def test_the_noise_shape_of_a_dropout_layer(shared: tuple[str, ...], shape: tuple[int, ...]) -> None:
    kind = kinds()["dropout"]
    (site,) = kind.sites(kind.Config(rate=0.25, shared=shared), (), {"x": (2, 3, 4, 5)})
    axes = ("batch", "height", "width", "features")
    assert site == Site(at="input", rate=0.25, shared=shared, axes=axes, shape=shape, full=(2, 3, 4, 5))


@pytest.mark.parametrize(
    ("layer", "noise", "keys"),
    [
        ("dropout", "bernoulli", (("input", "bernoulli"),)),
        ("gaussian_dropout", "gaussian", (("input", "normal"),)),
        ("gaussian_noise", "additive", (("input", "normal"),)),
        ("masked_gaussian_noise", "masked_additive", (("input", "bernoulli"), ("input/normal", "normal"))),
        ("alpha_dropout", "alpha", (("input", "bernoulli"),)),
    ],
)
def test_each_noise_layer_has_one_site(layer: str, noise: str, keys: tuple[tuple[str, str], ...]) -> None:
    kind = kinds()[layer]
    (site,) = kind.sites(kind.Config(**EVERY_KIND[layer]), (), {"x": (2, 3)})
    assert (site.at, site.noise, site.axes, site.shape) == ("input", noise, ("batch", "features"), (2, 3))
    assert site.stddev == EVERY_KIND[layer].get("stddev", 0.0)
    assert tape_keys(site) == keys


@pytest.mark.parametrize(
    ("at", "shared", "layers", "axes", "shape"),
    [
        ("input", (), 1, ("gates", "batch", "time", "features"), (4, 5, 7, 3)),
        ("input", ("time",), 1, ("gates", "batch", "time", "features"), (4, 5, 1, 3)),
        ("input", ("time", "gates"), 1, ("gates", "batch", "time", "features"), (1, 5, 1, 3)),
        ("input", ("time",), 2, ("gates", "batch", "time", "features"), (4, 5, 1, 3)),
        ("state.h", ("batch", "time"), 1, ("gates", "batch", "time", "features"), (4, 1, 1, 4)),
        ("state.h", ("time",), 2, ("layers", "gates", "batch", "time", "features"), (2, 4, 5, 1, 4)),
        ("state.c", (), 1, ("batch", "time", "features"), (5, 7, 4)),
        ("state.c", ("layers",), 2, ("layers", "batch", "time", "features"), (1, 5, 7, 4)),
        ("output", ("features",), 1, ("batch", "time", "features"), (5, 7, 1)),
        ("output", (), 3, ("batch", "time", "features"), (5, 7, 4)),
        ("between_layers", ("time",), 3, ("layers", "batch", "time", "features"), (2, 5, 1, 4)),
    ],
)
def test_lstm_sites(
    at: str, shared: tuple[str, ...], layers: int, axes: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    kind = kinds()["lstm"]
    spec = DropoutSpec(at=at, rate=0.5, shared=shared, noise="gaussian")
    (site,) = kind.sites(kind.Config(units=4, layers=layers), [spec], LSTM_X)
    assert (site.at, site.axes, site.shape) == (at, axes, shape)
    assert set(site.shared) == set(shared)
    assert site.noise == "gaussian"


def test_encoder_and_decoder_have_their_own_sites() -> None:
    kind = kinds()["encoder_decoder"]
    specs = [DropoutSpec(at=f"{half}.input", rate=0.5) for half in ("decoder", "encoder")]
    sites = kind.sites(kind.Config(units=4), specs, {"x": (5, 7, 3), "z": (5, 2, 6)})
    assert [(site.at, site.shape) for site in sites] == [
        ("decoder.input", (4, 5, 2, 6)),
        ("encoder.input", (4, 5, 7, 3)),
    ]


@pytest.mark.parametrize(
    ("layer", "config", "specs", "path", "words"),
    [
        ("dropout", {"rate": 0.5}, [{"at": "input", "rate": 0.5}], ("dropout",), ["`config`"]),
        (
            "dropout",
            {"rate": 0.5, "shared": ["hight"]},
            [],
            ("config", "shared", 0),
            ["'hight'", "batch, time, features"],
        ),
        ("lstm", {"units": 4}, [{"at": "inptu", "rate": 0.5}], ("dropout", 0, "at"), ["did you mean 'input'"]),
        ("lstm", {"units": 4}, [{"at": "encoder.input", "rate": 0.5}], ("dropout", 0, "at"), ["no site"]),
        (
            "lstm",
            {"units": 4},
            [{"at": "input", "rate": 0.5}, {"at": "input", "rate": 0.2}],
            ("dropout", 1, "at"),
            ["twice"],
        ),
        ("lstm", {"units": 4}, [{"at": "between_layers", "rate": 0.5}], ("dropout", 0, "at"), ["`layers`"]),
        ("lstm", {"units": 4}, [{"at": "input", "rate": float("nan")}], ("dropout", 0, "rate"), ["[0, 1]", "nan"]),
        ("lstm", {"units": 4}, [{"at": "input", "rate": 1.5}], ("dropout", 0, "rate"), ["1.5"]),
        ("lstm", {"units": 4}, [{"at": "input", "rate": -0.1}], ("dropout", 0, "rate"), ["-0.1"]),
        (
            "lstm",
            {"units": 4},
            [{"at": "input", "rate": 1.0, "noise": "gaussian"}],
            ("dropout", 0, "rate"),
            ["rate 1"],
        ),
        (
            "lstm",
            {"units": 4},
            [{"at": "input", "rate": 0.5, "noise": "gausian"}],
            ("dropout", 0, "noise"),
            ["did you mean 'gaussian'"],
        ),
        ("lstm", {"units": 4}, [{"at": "input", "rate": 0.5, "noise": "alpha"}], ("dropout", 0, "noise"), ["alpha"]),
        (
            "lstm",
            {"units": 4},
            [{"at": "input", "rate": 0.5, "scale": "inverse"}],
            ("dropout", 0, "scale"),
            ["inverted, none"],
        ),
        (
            "lstm",
            {"units": 4},
            [{"at": "input", "rate": 0.5, "scale": "none", "noise": "gaussian"}],
            ("dropout", 0, "scale"),
            ["mean 1"],
        ),
        (
            "lstm",
            {"units": 4},
            [{"at": "state.c", "rate": 0.5, "shared": ["time", "gates"]}],
            ("dropout", 0, "shared", 1),
            ["batch, time, features"],
        ),
        (
            "lstm",
            {"units": 4},
            [{"at": "input", "rate": 0.5, "shared": ["layers"]}],
            ("dropout", 0, "shared", 0),
            ["no axis 'layers'"],
        ),
    ],
)
def test_impossible_dropout_is_refused_at_its_place(
    layer: str, config: dict[str, Any], specs: list[dict[str, Any]], path: tuple[Any, ...], words: list[str]
) -> None:
    kind = kinds()[layer]
    with pytest.raises(Refused) as caught:
        kind.sites(kind.Config(**config), [DropoutSpec(**spec) for spec in specs], LSTM_X)
    assert caught.value.path == path
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("layer", "config", "inputs", "path", "words"),
    [
        ("lstm", {"units": 4}, {"x": (5, 7)}, ("inputs", "x"), ["(batch, time, features)", "(5, 7)"]),
        ("lstm", {"units": 4}, {"x": (5, 0, 3)}, ("inputs", "x"), ["at least one step"]),
        ("lstm", {"units": 4}, {"x": (5, 7, 0)}, ("inputs", "x"), ["one feature"]),
        ("lstm", {"units": 4}, {"x": (5, 7, 3), "h0": (4, 4)}, ("inputs", "h0"), ["(5, 4)", "(4, 4)"]),
        ("lstm", {"units": 4}, {"x": (5, 7, 3), "c0": (1, 5, 4)}, ("inputs", "c0"), ["(batch, units)"]),
        ("lstm", {"units": 4, "layers": 2}, {"x": (5, 7, 3), "c0": (5, 4)}, ("inputs", "c0"), ["layers", "(2, 5, 4)"]),
        ("encoder_decoder", {"units": 4}, {"x": (5, 7, 3), "z": (4, 7, 3)}, ("inputs", "z"), ["5", "4"]),
        ("encoder_decoder", {"units": 4}, {"x": (5, 7, 3), "z": (5, 7)}, ("inputs", "z"), ["(5, 7)"]),
        (
            "encoder_decoder",
            {"units": 4, "tied": True},
            {"x": (5, 7, 3), "z": (5, 7, 2)},
            ("inputs", "z"),
            ["tied", "3", "2"],
        ),
        (
            "encoder_decoder",
            {"units": 4},
            {"x": (5, 7, 3), "z": (5, 7, 3), "h0": (5, 3)},
            ("inputs", "h0"),
            ["(5, 4)"],
        ),
    ],
)
def test_impossible_shapes_are_refused_at_their_place(
    layer: str, config: dict[str, Any], inputs: dict[str, tuple[int, ...]], path: tuple[Any, ...], words: list[str]
) -> None:
    kind = kinds()[layer]
    settings = kind.Config(**config)
    for method in (
        lambda: kind.check_inputs(settings, inputs),
        lambda: kind.weight_shapes(settings, inputs),
        lambda: kind.sites(settings, (), inputs),
    ):
        with pytest.raises(Refused) as caught:
            method()
        assert caught.value.path == path
        for word in words:
            assert word in caught.value.message


@pytest.mark.parametrize(
    ("layer", "config"),
    [
        ("dropout", {}),
        ("dropout", {"rate": float("nan")}),
        ("dropout", {"rate": float("inf")}),
        ("dropout", {"rate": 1.0001}),
        ("dropout", {"rate": -0.1}),
        ("dropout", {"rate": "0.5"}),
        ("dropout", {"rate": True}),
        ("dropout", {"rate": 0.5, "shred": ["time"]}),
        ("dropout", {"rate": 0.5, "shared": [1.5]}),
        ("gaussian_dropout", {"rate": 1.0}),
        ("alpha_dropout", {"rate": 1.0}),
        ("gaussian_noise", {"stddev": -1.0}),
        ("gaussian_noise", {"stddev": float("inf")}),
        ("masked_gaussian_noise", {"rate": 0.5}),
        ("lstm", {"units": 0}),
        ("lstm", {"units": 2.5}),
        ("lstm", {"units": True}),
        ("lstm", {"units": 4, "layers": 0}),
        ("lstm", {"units": 4, "return_sequences": "yes"}),
        ("encoder_decoder", {"units": 4, "tied": 1}),
    ],
)
def test_wrong_settings_are_refused(layer: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kinds()[layer].Config(**config)


def test_a_draw_must_be_there_and_fit_its_site() -> None:
    axes = ("gates", "batch", "time", "features")
    site = Site(at="input", rate=0.5, shared=("time",), axes=axes, shape=(4, 2, 1, 3))
    with pytest.raises(ValueError, match=r"no draw for site 'input'; there are: output"):
        draw_of(site, {"output": np.ones(1)})
    with pytest.raises(ValueError, match=r"\(4, 2, 3\)"):
        draw_of(site, {"input": np.ones((4, 2, 3))})
    with pytest.raises(ValueError, match=r"\(4, 3, 1, 3\)"):
        draw_of(site, {"input": np.ones((4, 3, 1, 3))})
    for shape in [(4, 2, 1, 3), (1, 1, 1, 1), (4, 2, 6, 3)]:  # coarser, or finer where the case shares
        assert draw_of(site, {"input": np.ones(shape)}).shape == shape
