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
from harness.tape import BERNOULLI, NORMAL, Draw, TapeMismatch, decisions

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


def stepwise(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """A scan that splits its key at every step and draws twice in it, one draw of them mapped over keys."""

    def step(key: Any, x: Any) -> Any:
        key, one, other = jax.random.split(key, 3)
        dropped = drop(one, x)
        noise = jax.vmap(lambda key: jax.random.normal(key, (2,)))(jax.random.split(other, 3))
        return key, dropped + noise.sum(1)

    _, y = jax.lax.scan(step, key, arrays["x"])
    return {"y": y}


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


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_recorded_uniforms_are_the_frameworks(dtype: str) -> None:
    with precision(dtype):
        _, draws = run(lambda key, arrays: {"u": jax.random.uniform(key, (5, 400), dtype)})
        expected = np.asarray(jax.random.uniform(jax.random.key(7), (5, 400), dtype))
    (draw,) = draws
    assert (draw.kind, draw.rule, draw.values.dtype) == ("uniform", "u < keep", expected.dtype)
    np.testing.assert_array_equal(draw.values, expected)


@pytest.mark.parametrize("compile", [True, False])
def test_order_inside_a_scan_under_vmap(compile: bool) -> None:
    """Two draws a step, step after step, as the plain loop makes them."""
    outputs, draws = run(stepwise, compile=compile)
    key = jax.random.key(7)
    assert [draw.kind for draw in draws] == ["uniform", "normal"] * 4
    for step in range(4):
        key, one, other = jax.random.split(key, 3)
        np.testing.assert_array_equal(draws[2 * step].values, jax.random.uniform(one, (3,)))
        each = [jax.random.normal(part, (2,)) for part in jax.random.split(other, 3)]
        np.testing.assert_array_equal(draws[2 * step + 1].values, each)
    np.testing.assert_array_equal(outputs["y"], stepwise(jax.random.key(7), ARRAYS)["y"])


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


@pytest.mark.parametrize("rate", [1e-6, 0.3, 1.0 - 1e-6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_replayed_decisions_hold_at_every_rate(rate: float, dtype: str) -> None:
    kept = np.random.default_rng(0).random((4, 3)) < 0.5
    with precision(dtype):
        outputs, draws = run(
            lambda key, arrays: {"m": jax.random.bernoulli(key, 1.0 - rate, (4, 3))}, [Draw(BERNOULLI, kept)]
        )
    np.testing.assert_array_equal(outputs["m"], kept)
    np.testing.assert_array_equal(decisions(draws[0], rate), kept)


def test_a_decision_that_no_u_can_make_is_recorded_as_it_was_made() -> None:
    """In bfloat16 no u reaches a keep probability of 0.996, so nothing can be dropped: the record says so."""
    dropped = np.zeros((4, 3), bool)
    keep = jnp.bfloat16(1 - 2.0**-8)
    outputs, draws = run(lambda key, arrays: {"m": jax.random.bernoulli(key, keep, (4, 3))}, [Draw(BERNOULLI, dropped)])
    assert np.asarray(outputs["m"]).all()
    assert decisions(draws[0], 2.0**-8).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_replayed_normals_are_exact(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3))
    with precision(dtype):
        outputs, draws = run(lambda key, arrays: {"n": jax.random.normal(key, (4, 3), dtype)}, [Draw(NORMAL, values)])
    expected = values.astype(jax_tap.scalar_type(dtype))
    np.testing.assert_array_equal(np.asarray(outputs["n"]), expected)
    np.testing.assert_array_equal(draws[0].values, expected)


def test_replay_in_a_scan_goes_step_by_step() -> None:
    generator = np.random.default_rng(0)
    masks, noises = generator.random((4, 3)) < 0.5, generator.normal(size=(4, 3, 2)).astype(np.float32)
    tape = [Draw(*pair) for step in range(4) for pair in ((BERNOULLI, masks[step]), (NORMAL, noises[step]))]
    outputs, _ = run(stepwise, tape)
    expected = np.where(masks, ARRAYS["x"] / np.float32(0.6), 0) + noises.sum(2)
    np.testing.assert_allclose(outputs["y"], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("tape", "message"),
    [
        ([(4, 3)], "the tape has ended"),
        ([(4, 3), (3, 4)], "where the tape has bernoulli"),
        ([(4, 3), (4, 3), (4, 3)], ""),
    ],
)
def test_a_tape_that_does_not_fit(tape: list[tuple[int, ...]], message: str) -> None:
    def function(key: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        one, other = jax.random.split(key)
        return {"y": drop(one, drop(other, arrays["x"]))}

    draws = [Draw(BERNOULLI, np.ones(shape, bool)) for shape in tape]
    program = Program(function, jax_tap.key(0), ARRAYS)
    with jax_tap.JaxTap(draws) as tap:
        if message:
            with pytest.raises(TapeMismatch, match=message):
                program.run(jax_tap.key(0), ARRAYS, {}, tap)
        else:
            program.run(jax_tap.key(0), ARRAYS, {}, tap)
            assert len(tap.replay) == 1


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
