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
from typing import Any, Callable, Iterator

from harness.frameworks.jax.tap import prng_implementation
from harness.frameworks.keras3.initial import initial_values

RANDOM = "keras.src.backend.jax.random"


@contextlib.contextmanager
def tapped_keys() -> Iterator[None]:
    """While inside, what Keras on JAX draws is the tap's. Nothing happens where Keras has not been imported."""
    if "keras" not in sys.modules or sys.modules["keras"].backend.backend() != "jax":
        yield
        return
    module = importlib.import_module(RANDOM)
    plain = module.jax
    module.jax = _Standin(plain, random=_Random(plain.random))  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def aside() -> Iterator[None]:
        tapped, module.jax = module.jax, plain  # type: ignore[attr-defined]
        try:
            yield
        finally:
            module.jax = tapped  # type: ignore[attr-defined]

    try:
        with initial_values(aside):
            yield
    finally:
        module.jax = plain  # type: ignore[attr-defined]


class _Standin:
    """A module with something else under one name."""

    def __init__(self, module: Any, **other: Any) -> None:
        self._module = module
        self.__dict__.update(other)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _Random(_Standin):
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
