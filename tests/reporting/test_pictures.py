import base64

import numpy as np
import pytest

from harness.reporting.pictures import ACROSS, DOWN, PANELS, as_panels, gates_first, picture, pool


def bits(described):
    flat = np.unpackbits(np.frombuffer(base64.b64decode(described["bits"]), np.uint8))
    count = described["n"] * described["h"] * described["w"]
    return flat[:count].reshape(described["n"], described["h"], described["w"]).astype(bool)


@pytest.mark.parametrize("shape", [(7,), (4, 7), (2, 4, 7), (2, 3, 4, 7), (1, 1, 1), (0, 3), ()])
def test_a_mask_comes_back_bit_for_bit(shape):
    mask = np.random.default_rng(0).random(shape) > 0.5
    described = picture(mask)
    np.testing.assert_array_equal(bits(described), as_panels(mask)[:PANELS])
    assert "pooled" not in described


def test_one_long_row_is_wrapped_and_cut():
    mask = np.random.default_rng(0).random((1, 100_000)) > 0.2
    described = picture(mask)
    assert (described["w"], described["h"], described["wrapped"]) == (ACROSS, DOWN, True)
    assert "pooled" not in described
    np.testing.assert_array_equal(bits(described).ravel(), mask[0, : DOWN * ACROSS])


def test_a_row_a_little_too_long():
    described = picture(np.ones((1, ACROSS + 1), bool))
    assert (described["w"], described["h"]) == (ACROSS, 1)


def test_more_panels_than_are_shown():
    described = picture(np.ones((20, 2, 3), bool))
    assert (described["n"], described["of"]) == (PANELS, 20)


def test_every_gate_is_shown():
    mask = np.random.default_rng(0).random((4, 6, 2, 5)) > 0.5
    described = picture(mask)
    assert (described["n"], described["of"], described["grid"]) == (8, 24, [4, 2])
    np.testing.assert_array_equal(bits(described).reshape(4, 2, 2, 5), mask[:, :2])
    large = np.random.default_rng(0).random((4, 6, 200, 300)) > 0.5
    small = pool(large)
    assert small.shape == (4, 2, DOWN, ACROSS)
    assert small[3, 1].mean() == pytest.approx(large[3, 1].mean(), abs=0.01)


def test_gates_come_first():
    mask = np.arange(24).reshape(2, 3, 4)
    assert gates_first(mask, ["inputs", "gates", "units"]).shape == (3, 2, 4)
    assert gates_first(mask, ["gates", "inputs", "units"]).shape == mask.shape
    assert gates_first(mask, ["batch", "gates"]).shape == mask.shape, "names that do not fit say nothing"


def test_pooling_keeps_the_mean():
    mask = np.random.default_rng(0).random((1, 500, 1000)) > 0.3
    small = pool(mask)
    assert small.shape == (1, DOWN, ACROSS)
    assert small.mean() == pytest.approx(mask.mean(), abs=0.01)
    described = picture(mask)
    assert described["pooled"]
    grey = np.frombuffer(base64.b64decode(described["grey"]), np.uint8)
    assert grey.mean() / 255 == pytest.approx(mask.mean(), abs=0.01)


def test_pooling_shows_where_a_block_is_dropped():
    mask = np.ones((1, 640, 960), bool)
    mask[:, 100:110] = False
    small = pool(mask)[0]
    assert (small[10] == 0).all()
    assert (np.delete(small, 10, axis=0) == 1).all()


def test_other_noise_has_its_range():
    described = picture(np.array([[-1.0, 0.0, 3.0]]))
    assert (described["lo"], described["hi"]) == (-1.0, 3.0)
    assert list(base64.b64decode(described["grey"])) == [0, 64, 255]


def test_values_that_are_not_finite():
    described = picture(np.array([[0.0, np.nan, np.inf, 0.25]]))
    assert list(base64.b64decode(described["grey"])) == [0, 0, 255, 64]
