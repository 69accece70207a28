"""The noise layers: formulas on given draws, published constants, edges, gradients, rounding."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.layers.base import kinds
from harness.rounding import Rounding
from tests.layers.layer_cases import make_draws, scenario

NOISES: dict[str, dict[str, Any]] = {
    "dropout": {"rate": 0.4},
    "gaussian_dropout": {"rate": 0.4},
    "gaussian_noise": {"stddev": 0.3},
    "masked_gaussian_noise": {"rate": 0.4, "stddev": 0.3},
    "alpha_dropout": {"rate": 0.4},
}


def apply(layer: str, config: dict[str, Any], x: Any, draws: dict[str, Any], cotangent: Any = None) -> Any:
    """Y of one layer on given draws, and dx where a cotangent is given."""
    kind = kinds()[layer]
    settings = kind.Config(**config)
    array = np.asarray(x, dtype=np.float64)
    sites = kind.sites(settings, (), {"x": array.shape})
    cotangents = None if cotangent is None else {"y": np.asarray(cotangent, dtype=np.float64)}
    given_draws = {name: np.asarray(value) for name, value in draws.items()}
    found = kind.evaluate(settings, {"x": array}, {}, sites, given_draws, train=True, cotangents=cotangents)
    return found.outputs["y"] if cotangent is None else (found.outputs["y"], found.gradients["x"])


def test_dropout_scales_the_survivors() -> None:
    y, dx = apply("dropout", {"rate": 0.75}, [1.0, -2.0, 0.0, 3.0], {"input": [True, True, True, False]}, [1, 2, 3, 4])
    assert y.tolist() == [4.0, -8.0, 0.0, 0.0]
    assert dx.tolist() == [4.0, 8.0, 12.0, 0.0]


def test_dropout_at_rate_one_gives_zeros_not_nan() -> None:
    y, dx = apply("dropout", {"rate": 1.0}, [1.0, -2.0], {"input": [False, False]}, [1.0, 1.0])
    assert (np.abs(y) == 0).all()
    assert (dx == 0).all()


def test_spatial_dropout_drops_whole_features() -> None:
    kept = np.array([[[True, False, True]], [[False, True, True]]])
    y = apply("dropout", {"rate": 0.5, "shared": ["time"]}, np.ones((2, 4, 3)), {"input": kept})
    assert np.array_equal(y, np.broadcast_to(2.0 * kept, (2, 4, 3)))


def test_gaussian_dropout_is_a_factor_around_one() -> None:
    y, dx = apply("gaussian_dropout", {"rate": 0.2}, [2.0, -4.0], {"input": [1.0, -2.0]}, [1.0, 1.0])
    np.testing.assert_allclose(dx, [1.5, 0.0], rtol=1e-15)  # sqrt(.2 / .8) = 0.5
    np.testing.assert_allclose(y, [3.0, 0.0], rtol=1e-15, atol=1e-15)


def test_gaussian_noise_touches_everything() -> None:
    y, dx = apply("gaussian_noise", {"stddev": 0.5}, [2.0, 0.0], {"input": [1.0, -2.0]}, [3.0, 4.0])
    assert y.tolist() == [2.5, -1.0]
    assert dx.tolist() == [3.0, 4.0]


def test_masked_noise_leaves_kept_elements_bit_equal() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    kept = np.random.default_rng(1).random(1000) < 0.5
    draws = {"input": kept, "input/normal": np.random.default_rng(2).normal(size=1000)}
    y = apply("masked_gaussian_noise", {"rate": 0.5, "stddev": 0.1}, x, draws)
    assert np.array_equal(y[kept], x[kept])
    np.testing.assert_allclose((y - x)[~kept], 0.1 * draws["input/normal"][~kept], atol=1e-15)


def test_alpha_dropout_gives_the_published_values_on_zeros() -> None:
    # torch and Keras print these for p = .3 on zeros: dropped -1.0595, kept 0.4541.
    y = apply("alpha_dropout", {"rate": 0.3}, [0.0, 0.0], {"input": [False, True]})
    np.testing.assert_allclose(y, [-1.0595, 0.4541], atol=5e-5)


def test_alpha_dropout_keeps_mean_zero_and_variance_one() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=400_000)
    y = apply("alpha_dropout", {"rate": 0.3}, x, {"input": generator.random(x.shape) >= 0.3})
    assert abs(y.mean()) < 5 / np.sqrt(x.size)
    assert abs(y.var() - 1.0) < 0.01
    unscaled = apply("dropout", {"rate": 0.3}, x, {"input": generator.random(x.shape) >= 0.3})
    assert abs(unscaled.var() - 1.0) > 0.3  # what the affine map is for


@pytest.mark.parametrize("layer", ["dropout", "gaussian_dropout"])
def test_dropout_and_its_gaussian_share_mean_and_spread(layer: str) -> None:
    """Section 10 of the dropout paper: both multipliers have mean 1 and variance rate / (1 - rate)."""
    case = scenario(layer, {"rate": 0.4}, {"x": (200_000,)})
    y = case.run(inputs={"x": np.ones(200_000)}).outputs["y"]
    assert abs(y.mean() - 1.0) < 0.01
    assert abs(y.var() - 0.4 / 0.6) < 0.02


@pytest.mark.parametrize("layer", NOISES)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 0, 4), (3,), (2, 3), (2, 1, 2, 2), (1, 2, 1, 2, 1, 2)])
def test_every_rank_and_empty_arrays(layer: str, shape: tuple[int, ...]) -> None:
    case = scenario(layer, NOISES[layer], {"x": shape})
    found = case.run()
    assert found.outputs["y"].shape == shape
    assert found.gradients["x"].shape == shape


@pytest.mark.parametrize("layer", NOISES)
def test_evaluation_mode_is_the_identity_without_any_draw(layer: str) -> None:
    case = scenario(layer, NOISES[layer], {"x": (3, 4)})
    found = case.run(train=False, draws={})
    assert np.array_equal(found.outputs["y"], case.inputs["x"])
    assert np.array_equal(found.gradients["x"], case.cotangents["y"])


@pytest.mark.parametrize(
    ("layer", "config"),
    [
        ("dropout", {"rate": 0.0}),
        ("gaussian_dropout", {"rate": 0.0}),
        ("gaussian_noise", {"stddev": 0.0}),
        ("masked_gaussian_noise", {"rate": 0.0, "stddev": 0.3}),
        ("masked_gaussian_noise", {"rate": 0.4, "stddev": 0.0}),
        ("alpha_dropout", {"rate": 0.0}),
    ],
)
def test_noise_of_size_zero_is_the_identity(layer: str, config: dict[str, Any]) -> None:
    case = scenario(layer, config, {"x": (3, 4)})
    found = case.run(rounding=Rounding.of("float32", 0))
    assert np.array_equal(found.outputs["y"], case.inputs["x"])
    assert np.array_equal(found.gradients["x"], case.cotangents["y"])


@given(
    layer=st.sampled_from(sorted(NOISES)),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, max_side=4),
    data=st.data(),
)
def test_the_gradient_is_the_slope(layer: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    """All five are affine in x, so a difference quotient over a wide step is the slope itself."""
    config = dict(NOISES[layer])
    if layer in ("dropout", "gaussian_dropout", "alpha_dropout"):
        config["shared"] = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True)) if shape else []
    case = scenario(layer, config, {"x": shape}, seed=data.draw(st.integers(0, 1000)))
    low, high = case.inputs["x"] - 1.0, case.inputs["x"] + 1.0
    rise = case.run(inputs={"x": high}).outputs["y"] - case.run(inputs={"x": low}).outputs["y"]
    np.testing.assert_allclose(case.run().gradients["x"], rise / 2.0 * case.cotangents["y"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", NOISES)
def test_rounding_noise_is_the_only_difference_and_small(layer: str) -> None:
    case = scenario(layer, NOISES[layer], {"x": (40, 50)})
    clean = case.run()
    silent = case.run(rounding=Rounding(0.0, np.random.default_rng(0)))
    noisy = case.run(rounding=Rounding.of("float32", 0))
    assert np.array_equal(silent.outputs["y"], clean.outputs["y"])
    error = np.abs(noisy.outputs["y"] - clean.outputs["y"])
    assert error.max() > 2.0**-25
    # Three roundings of numbers not much larger than the terms: |x|, the noise, their sum.
    size = np.abs(case.inputs["x"]) * 5 + 5
    assert (error <= 3 * 2.0**-24 * size).all()


@pytest.mark.parametrize("layer", ["dropout", "alpha_dropout"])
def test_other_decisions_give_another_output(layer: str) -> None:
    """The plant for the two tests above: a mask that is not the one drawn is seen."""
    case = scenario(layer, NOISES[layer], {"x": (3, 4)})
    other = dataclasses.replace(case, draws=make_draws(case.sites, np.random.default_rng(99)))
    assert np.abs(case.run().outputs["y"] - other.run().outputs["y"]).max() > 1e-3
