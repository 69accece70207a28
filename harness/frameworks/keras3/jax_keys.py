"""Keras layers in a user's port in JAX: their raw keys are made ours, so that the tap sees what they draw.

Keras hands raw uint32 keys (the state of a layer's SeedGenerator) to `jax.random`. Our PRNG implementation is threefry's under
another name, so the same two words wrapped as its key give the same bits, and the traced program hands them out
(harness.frameworks.jax.program).
Decisions and normals are wrapped. Uniforms are not: initializers draw them too, and what a layer decides from one is not known.

JAX and Keras are imported inside functions only.
"""

import contextlib
import importlib
import sys
from typing import Any, Callable, ContextManager, Iterator

from harness.frameworks.jax.tap import prng_implementation
from harness.frameworks.keras3.initial import initial_values

RANDOM = "keras.src.backend.jax.random"


@contextlib.contextmanager
def tapped_keys() -> Iterator[None]:
    """While inside, what Keras on JAX draws is the tap's. Nothing happens where Keras has not been imported."""
    if "keras" not in sys.modules or sys.modules["keras"].backend.backend() != "jax":
        yield
        return
    with random_module(_Random) as aside, initial_values(aside):
        yield


@contextlib.contextmanager
def random_module(instead: Callable[[Any], Any]) -> Iterator[Callable[[], ContextManager[None]]]:
    """While inside, Keras on JAX finds `instead(jax.random)` where it looks for `jax.random`; gives what sets it aside."""
    module: Any = importlib.import_module(RANDOM)
    plain = module.jax

    @contextlib.contextmanager
    def holding(other: Any) -> Iterator[None]:
        before, module.jax = module.jax, other
        try:
            yield
        finally:
            module.jax = before

    with holding(Standin(plain, random=instead(plain.random))):
        yield lambda: holding(plain)


class Standin:
    """A module with something else under some names."""

    def __init__(self, module: Any, **other: Any) -> None:
        self._module = module
        self.__dict__.update(other)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _Random(Standin):
    """`jax.random` as Keras calls it."""

    def bernoulli(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        return self._draw(self._module.bernoulli, key, args, kwargs)

    def normal(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        return self._draw(self._module.normal, key, args, kwargs)

    def _draw(self, draw: Callable[..., Any], key: Any, args: Any, kwargs: Any) -> Any:
        import jax

        if not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key, impl=prng_implementation())
        return draw(key, *args, **kwargs)
