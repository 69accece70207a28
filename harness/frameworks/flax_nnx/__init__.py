"""Flax nnx' layers, on JAX."""

from harness.frameworks.contract.framework import Framework
from harness.frameworks.flax_nnx.fixes import FIXES

FRAMEWORK = Framework(
    name="flax_nnx",
    backends=("jax",),
    packages=("flax",),
    uses=("jax", "flax_linen"),
    written=("flax.nnx",),
    fixes=FIXES,
)
