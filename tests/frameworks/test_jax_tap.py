"""The tap at JAX's PRNG implementation: what it records is what plain keys draw; what it replays is what is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.jax import tap as jax_tap
from harness.frameworks.jax.lazy import precision
from harness.frameworks.jax.program import Program
from harness.tape import BERNOULLI, Draw, decisions

Function = Callable[[Any, dict[str, Any]], dict[str, Any]]
ARRAYS = {"x": np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(4, 3)}


def run(function: Function, replay: list[Draw] | None = None, **more: Any) -> tuple[dict[str, Any], list[Draw]]:
    """Trace and run a function under a tap."""
    seed = more.pop("seed", 7)
    cotangents = more.pop("cotangents", {})
    program = Program(function, jax_tap.key(seed), ARRAYS, **more)
    with jax_tap.JaxTap(replay) as tap:
        outputs, gradients = program.run(jax_tap.key(seed), ARRAYS, cotangents, tap)
    return {**outputs, **{f"d {name}": value for name, value in gradients.items()}}, tap.draws


def drop(key: Any, x: Any, rate: float = 0.4) -> Any:
    return jnp.where(jax.random.bernoulli(key, 1.0 - rate, x.shape), x / (1.0 - rate), 0.0)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 + 5])
@pytest.mark.parametrize("wide", ["float32", "float64"])
def test_tapped_keys_draw_what_plain_keys_draw(seed: int, wide: str) -> None:
    with precision(wide):
        ours, plain = jax_tap.key(seed), jax.random.key(seed)
        for derive in (
            lambda key: key,
            lambda key: jax.random.split(key, (2, 3))[1, 2],
            lambda key: jax.random.fold_in(key, 1234567),
        ):
            one, other = derive(ours), derive(plain)
            np.testing.assert_array_equal(jax.random.key_data(one), jax.random.key_data(other))
            for dtype in ("float16", "bfloat16", "float32", wide):
                for draw in (jax.random.uniform, jax.random.normal):
                    np.testing.assert_array_equal(draw(one, (3, 5), dtype), draw(other, (3, 5), dtype))
            np.testing.assert_array_equal(
                jax.random.bernoulli(one, 0.3, (99,)), jax.random.bernoulli(other, 0.3, (99,))
            )


def test_a_reversed_scan_is_recorded_from_its_last_step() -> None:
    def function(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        def step(key: Any, x: Any) -> Any:
            key, one = jax.random.split(key)
            return key, drop(one, x)

        return {"y": jax.lax.scan(step, key, arrays["x"], reverse=True)[1]}

    outputs, draws = run(function)
    key = jax.random.key(7)
    for step, draw in enumerate(draws):
        key, one = jax.random.split(key)
        np.testing.assert_array_equal(draw.values, jax.random.uniform(one, (3,)))
        np.testing.assert_array_equal(np.asarray(outputs["y"][3 - step]) != 0, decisions(draw, 0.4))


def test_computing_again_in_the_backward_pass_counts_once() -> None:
    def function(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        return {"y": jax.jit(jax.checkpoint(lambda x: jnp.sin(drop(key, jnp.sin(x)))))(arrays["x"])}

    cotangents = {"y": np.ones((4, 3), np.float32)}
    outputs, draws = run(function, cotangents=cotangents)
    assert len(draws) == 1
    _, pull = jax.vjp(lambda x: function(jax.random.key(7), {"x": x})["y"], ARRAYS["x"])
    np.testing.assert_allclose(outputs["d x"], pull(cotangents["y"])[0], rtol=1e-6)
    kept = np.random.default_rng(0).random((4, 3)) < 0.5
    replayed, _ = run(function, [Draw(BERNOULLI, kept)], cotangents=cotangents)
    np.testing.assert_array_equal(np.asarray(replayed["d x"]) != 0, kept)


def test_a_gradient_inside_the_function_counts_once() -> None:
    """The inner gradient's forward pass draws; its backward pass uses the same mask."""

    def function(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        return {"g": jax.grad(lambda x: drop(key, x).sum())(arrays["x"])}

    outputs, draws = run(function)
    assert len(draws) == 1
    np.testing.assert_array_equal(np.asarray(outputs["g"]) != 0, decisions(draws[0], 0.4))


def test_a_decision_that_no_u_can_make_is_recorded_as_it_was_made() -> None:
    """In bfloat16 no u reaches a keep probability of 0.996, so nothing can be dropped: the record says so."""
    dropped = np.zeros((4, 3), bool)
    keep = jnp.bfloat16(1 - 2.0**-8)
    outputs, draws = run(lambda key, arrays: {"m": jax.random.bernoulli(key, keep, (4, 3))}, [Draw(BERNOULLI, dropped)])
    assert np.asarray(outputs["m"]).all()
    assert decisions(draws[0], 2.0**-8).all()


def test_one_compiled_function_serves_every_seed_and_tape() -> None:
    traced = []

    def function(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        traced.append(1)
        return {"y": drop(key, arrays["x"])}

    program = Program(function, jax_tap.key(0), ARRAYS)
    masks = set()
    for seed in range(4):
        for replay in (None, [Draw(BERNOULLI, np.random.default_rng(seed).random((4, 3)) < 0.5)]):
            with jax_tap.JaxTap(replay) as tap:
                program.run(jax_tap.key(seed), ARRAYS, {}, tap)
            masks.add(decisions(tap.draws[0], 0.4).tobytes())
    assert len(masks) == 8
    assert len(traced) == 1
    assert program._forward._cache_size() == 2  # one that draws, one that replays


def test_plain_keys_and_dead_draws_do_not_count() -> None:
    def function(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        jax.random.normal(key, (5,))
        return {"y": arrays["x"] + jax.random.normal(jax.random.key(0), (3,))}

    assert run(function)[1] == []
    every = run(function, tapped=lambda aval: jax.dtypes.issubdtype(aval.dtype, jax.dtypes.prng_key))[1]
    assert [draw.values.shape for draw in every] == [(3,)]


def test_where_the_tap_cannot_follow_is_refused() -> None:
    def loop(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        def body(state: Any) -> Any:
            x, key = state
            key, one = jax.random.split(key)
            return drop(one, x), key

        return {"y": jax.lax.while_loop(lambda state: state[0].sum() > 0, body, (arrays["x"], key))[0]}

    def branch(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        x = arrays["x"]
        return {"y": jax.lax.cond(x[0, 0] > 0, lambda: drop(key, x), lambda: x)}

    @jax.custom_vjp
    def own_rule(x: Any, key: Any) -> Any:
        return drop(key, x)

    own_rule.defvjp(lambda x, key: (drop(key, x), None), lambda _, dy: (dy, None))
    for function, name in (
        (loop, "while"),
        (branch, "cond"),
        (lambda key, arrays: {"y": own_rule(arrays["x"], key)}, "custom_vjp_call"),
    ):
        with pytest.raises(Unsupported, match=f"`{name}"):
            run(function)


def test_a_cotangent_of_no_output_is_refused() -> None:
    with pytest.raises(ValueError, match="cotangents for z"):
        run(lambda key, arrays: {"y": arrays["x"]}, cotangents={"z": np.ones(3)})
