"""`case.site` where draws are made after the port was traced (JAX, TensorFlow's functions), and draws that no tap sees."""

from __future__ import annotations

import pytest
from target_cases import differences, outcomes


@pytest.mark.parametrize("draws", ["native", "replay"])
def test_jax(draws: str) -> None:
    names = ("time_major", "scanned", "unnamed", "misspelt", "other_key")
    found = {name: differences(one) for name, one in outcomes("jax", "named_jax.py", *names, draws=draws).items()}
    # Two axes of one size: without the name, the port's numbers tell which is which.
    assert found["time_major"] == found["scanned"] == found["unnamed"] == {}
    assert found["misspelt"] == {"mask.sites": "fail: case.site('inptu'): the case has no such site; it has: input"}
    assert list(found["other_key"]) == ["mask.sites"]
    assert (
        "draws nothing at input from case.key or a key of case.seed, but uniform (8, 8, 10) from other keys"
        in found["other_key"]["mask.sites"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["native", "replay"])
def test_keras_layers_in_jax(draws: str) -> None:
    pytest.importorskip("keras")
    found = outcomes("jax", "named_jax.py", "keras_layer", "keras_seeded", draws=draws)
    assert differences(found["keras_layer"]) == {}
    # A seed of its own: the tap sees the draws, and they are the same for every seed of the case.
    assert ("mask.other_seed" in differences(found["keras_seeded"])) == (draws == "native")


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["native", "replay"])
def test_tensorflow(draws: str) -> None:
    names = ("time_major", "named_in_a_function", "step_by_step", "unnamed")
    found = {
        name: differences(one)
        for name, one in outcomes("tensorflow", "called_tensorflow.py", *names, draws=draws).items()
    }
    # A function that is made in every call counts its random ops from the start: the global seed gives it the same mask.
    assert set(found["named_in_a_function"]) <= {"mask.other_call"}
    assert found["time_major"] == found["step_by_step"] == found["unnamed"] == {}


def test_draws_that_the_tap_does_not_see() -> None:
    found = differences(outcomes("torch", "called_torch.py", "elsewhere")["elsewhere"])
    assert found["mask.sites"] == (
        "fail: draws nothing at input; yet training gives something else than evaluation: it draws where the tap "
        "does not see it: draw from torch's generators"
    )
    assert not [cause for cause in found.values() if cause.startswith("error")]


def test_leaving_the_process_is_an_error_of_the_port() -> None:
    found = differences(outcomes("torch", "called_torch.py", "exits")["exits"])
    assert found == {"run.completes": "error: called_torch.py:47: SystemExit: the data are missing"}


SEEDED = ("key", "raw_key_of_the_next_seed", "by_another_name_and_split", "rngs", "rngs_beside_initialisers")


@pytest.mark.parametrize("draws", ["native", "replay"])
def test_keys_made_of_the_seed_are_tapped(draws: str) -> None:
    found = outcomes("jax", "seeded_jax.py", *SEEDED, "fixed", "ignored", draws=draws, seeds=(0, 1))
    for name in SEEDED:
        assert differences(found[name]) == {}, name
    assert "draws nothing at input from case.key or a key of case.seed" in differences(found["fixed"])["mask.sites"]
    assert ("mask.other_seed" in differences(found["ignored"])) == (draws == "native")
