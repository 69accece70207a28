"""Every JAX adapter against the float64 reference: on its own draws, on a tape, in evaluation, with and without jit."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

from jax_cases import QUICK, SLOW, Case, call, masks, name_of

from harness.frameworks.contract.adapter import implementations

every_case = pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(case, marks=pytest.mark.exhaustive) for case in SLOW)], ids=name_of
)
quick_cases = pytest.mark.parametrize("case", QUICK, ids=name_of)


def same(first: Any, second: Any) -> None:
    """Bit-equal outputs and gradients."""
    for one, other in ((first.outputs, second.outputs), (first.gradients, second.gradients)):
        assert set(one) == set(other)
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


@every_case
def test_draws_and_replay(case: Case) -> None:
    """Own draws: the reference's values; again: the same bits; a tape, its own draws or others: these masks, bit for bit."""
    job = call(case)
    first = job.run()
    assert set(first.draws) == set(job.tape())
    assert job.worst(first) <= 1.0
    same(first, job.run())
    other = masks(job, job.run(seed=4).draws)
    drawn = masks(job, first.draws)
    for site, values in drawn.items():
        assert not np.array_equal(values, other[site]), site
    again = job.run(tape=drawn, seed=99)
    for site, values in masks(job, again.draws).items():
        np.testing.assert_array_equal(values, drawn[site])
    if case[0] == "dropout":
        same(first, again)
    # Given its draws a program is compiled anew, so elsewhere the values agree within rounding only.
    assert job.worst(again) <= 1.0
    tape = job.tape()
    replayed = job.run(tape=tape)
    for site, values in masks(job, replayed.draws).items():
        np.testing.assert_array_equal(values, np.broadcast_to(tape[site], values.shape))
    assert job.worst(replayed) <= 1.0


@every_case
def test_evaluation(case: Case) -> None:
    """Evaluation draws nothing and computes what no dropout computes."""
    job = call(case, mode="eval")
    result = job.run()
    assert result.draws == {}
    assert job.worst(result) <= 1.0


@pytest.mark.exhaustive
@quick_cases
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_lower_precision(case: Case, dtype: str) -> None:
    job = call(case, dtype=dtype)
    assert job.worst(job.run()) <= 1.0


@pytest.mark.parametrize(
    "case", [QUICK[2], QUICK[9], *(pytest.param(case, marks=pytest.mark.exhaustive) for case in QUICK)]
)
def test_without_jit(case: Case) -> None:
    """Operation by operation: the same masks, values within the bound."""
    compiled, eager = call(case), call(case, options={"jit": False})
    one, other = compiled.run(), eager.run()
    for site, values in masks(compiled, one.draws).items():
        np.testing.assert_array_equal(values, masks(eager, other.draws)[site])
    assert eager.worst(other) <= 1.0


def test_every_implementation_is_tested() -> None:
    here = {
        key
        for key, found in implementations().items()
        if key[0] == "jax" and found.adapter.__module__.split(".")[2] in ("jax", "flax_linen", "flax_nnx", "equinox")
    }
    refused = {("jax", "gru", "flax.nnx.GRUCell")}
    assert here == {("jax", case[0], case[1]) for case in [*QUICK, *SLOW]} | refused
