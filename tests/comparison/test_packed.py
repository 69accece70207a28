"""Masks over sequences of different lengths: what is not drawn after a sequence's end is neither dropped nor kept."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from harness.comparison.checks.mask import valid_steps
from harness.comparison.context import Context
from harness.comparison.sampling import common_steps
from harness.records import Site
from harness.tape import BERNOULLI, Draw

AXES = ("layers", "batch", "time", "features")
LENGTHS = np.array([2, 4, 3])


def context(**inputs: Any) -> Context:
    variant = SimpleNamespace(inputs=inputs)
    return cast(Context, SimpleNamespace(variant=variant, arrays=lambda: (inputs, {}, {})))


def draw(*shape: int) -> tuple[Site, Draw]:
    return Site("between_layers", 0.5, axes=AXES, shape=shape), Draw(BERNOULLI, np.ones(shape, dtype=bool))


def test_steps_after_the_end_are_left_out() -> None:
    site, packed = draw(1, 3, 4, 5)
    valid = valid_steps(context(lengths=LENGTHS), site, packed)
    np.testing.assert_array_equal(valid[0, :, :, 0].sum(axis=1), LENGTHS)
    assert common_steps(context(lengths=LENGTHS), site, packed).values.shape == (1, 3, 2, 5)


def test_without_lengths_or_with_a_shared_mask_all_counts() -> None:
    site, full = draw(1, 3, 4, 5)
    assert valid_steps(context(), site, full).all()
    assert common_steps(context(), site, full) is full
    site, locked = draw(1, 3, 1, 5)
    assert valid_steps(context(lengths=LENGTHS), site, locked).all()
    assert common_steps(context(lengths=LENGTHS), site, locked).values.shape == (1, 3, 1, 5)
