"""JAX, imported when it is used."""

from typing import Any

from harness.frameworks.contract.lazy import Lazy

jax: Any = Lazy("jax")
jnp: Any = Lazy("jax.numpy")
