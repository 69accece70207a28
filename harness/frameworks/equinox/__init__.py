"""Equinox' layers, on JAX."""

from harness.frameworks.contract.framework import Framework
from harness.frameworks.equinox.fixes import FIXES

FRAMEWORK = Framework(
    name="equinox",
    backends=("jax",),
    packages=("equinox",),
    uses=("jax",),
    written=("equinox",),
    fixes=FIXES,
)
