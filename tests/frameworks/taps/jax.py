"""JAX's random border: how it is asked, compiled and operation by operation, and what draws there."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.frameworks.jax.lazy import precision
from harness.frameworks.jax.program import Program
from harness.frameworks.jax.tap import JaxTap, key
from harness.tape import UNIFORM

#: The lowest rate that is asked, and 1 minus it: no u of bfloat16 lies between 1 - 2**-7 and 1.
LOWEST = {"float16": 0.004, "bfloat16": 0.01, "float32": 1e-6, "float64": 1e-6}


class Border:
    Tap, kind, rule = JaxTap, UNIFORM, "u < keep"

    def __init__(self, dtype: str, traced: bool) -> None:
        self.dtype, self.traced = dtype, traced

    def next(self) -> Any:
        self.key, one = jax.random.split(self.key)
        return one

    def ones(self, shape: tuple[int, ...], rate: float) -> Any:
        keep = jnp.asarray(1.0 - rate, self.dtype)
        return jnp.where(jax.random.bernoulli(self.next(), keep, shape), 1.0 / keep, 0.0)

    def normal(self, shape: tuple[int, ...]) -> Any:
        return jax.random.normal(self.next(), shape, self.dtype)

    def loop(self, steps: int, body: Callable[[Any], list[Any]]) -> Any:
        def step(key: Any, _: Any) -> Any:
            self.key = key
            rows = jnp.stack(body(self))
            return self.key, rows

        self.key, rows = jax.lax.scan(step, self.key, None, length=steps)
        return rows

    def run(self, program: Callable[[Any], list[Any]], seed: int, tap: Any) -> list[np.ndarray]:
        def function(key: Any, arrays: Any) -> dict[str, Any]:
            self.key = key
            return {str(number): array for number, array in enumerate(program(self))}

        with precision(self.dtype):
            if tap is None:
                return [np.asarray(array) for array in function(jax.random.key(seed), {}).values()]
            outputs, _ = Program(function, key(seed), {}, compile=self.traced).run(key(seed), {}, {}, tap)
            return [np.asarray(outputs[name]) for name in sorted(outputs)]


def mapped(self: Border) -> Any:
    return jax.vmap(lambda key: jax.random.normal(key, (3,), self.dtype))(jax.random.split(self.next(), 2))


S = (2, 3)

FUNCTIONS = {
    "bernoulli": (lambda self: jax.random.bernoulli(self.next(), 0.6, S), S, 0.4),
    "normal": (lambda self: jax.random.normal(self.next(), S, self.dtype), S, (0.0, 1.0)),
    "mapped over keys": (mapped, S, (0.0, 1.0)),
    "folded key": (lambda self: jax.random.bernoulli(jax.random.fold_in(self.next(), 7), 0.6, S), S, 0.4),
    "jit inside": (lambda self: jax.jit(lambda key: jax.random.bernoulli(key, 0.6, S))(self.next()), S, 0.4),
}
