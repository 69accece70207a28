"""Flax Linen's layers, on JAX."""

from harness.frameworks.contract.framework import Framework
from harness.frameworks.flax_linen.fixes import FIXES

FRAMEWORK = Framework(
    name="flax_linen",
    backends=("jax",),
    packages=("flax",),
    uses=("jax",),
    written=("flax.linen",),
    fixes=FIXES,
)
