"""What all observers of programs state once: how a compared uniform decides, and how large a rounding is."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.formats import noise_size
from harness.frameworks.contract.programs import ABOVE, BELOW, compared

UNIFORMS = (np.arange(4000) + 0.5) / 4000
COMPARISONS = {operator.lt: BELOW, operator.le: BELOW, operator.ge: ABOVE, operator.gt: ABOVE}


@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda compare: compare.__name__)
@pytest.mark.parametrize("at", [0, 1], ids=["left", "right"])
@given(offset=st.floats(-2, 2), other=st.floats(-3, 3))
def test_the_rule_is_what_the_numbers_do_and_p_is_their_share(compare, at, offset, other):
    rule, p = compared(COMPARISONS[compare], at, offset, other)
    moved = UNIFORMS + offset
    decided = compare(moved, other) if at == 0 else compare(other, moved)
    assert decided.mean() == pytest.approx(p, abs=1e-3)
    threshold = p if rule == BELOW else 1.0 - p
    near = np.abs(UNIFORMS - threshold) < 1e-9
    assert ((threshold > UNIFORMS if rule == BELOW else threshold <= UNIFORMS) == decided)[~near].all()


@pytest.mark.parametrize(
    ("dtype", "bits"), [("float16", 11), ("bfloat16", 8), ("float32", 24), ("complex64", 24), ("float64", 52), ("complex128", 52)]
)  # fmt: skip
def test_a_rounding_is_as_large_as_the_format_has_it(dtype, bits):
    assert noise_size(dtype) == 2.0**-bits


def test_an_unknown_format_counts_as_float32():
    assert noise_size("float8_e4m3fn") == noise_size("float32")
