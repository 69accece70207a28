"""JAX, imported when it is used; and with or without 64-bit types."""

from typing import Any

from harness.frameworks.contract.lazy import Lazy

jax: Any = Lazy("jax")
jnp: Any = Lazy("jax.numpy")


def precision(dtype: str) -> Any:
    """A context in which 64-bit types exist exactly when the job is in float64.

    It matters to more than the arithmetic: `jax.random.bernoulli` draws in the dtype of the probability, and a Python
    float is float64 there, so float64 jobs draw other masks than float32 ones.
    """
    wide = dtype == "float64"
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(wide)
    from jax.experimental import disable_x64, enable_x64

    return enable_x64() if wide else disable_x64()
