"""Keras 3, on TensorFlow, torch and JAX, which it chooses once a process by an environment variable."""

from typing import ContextManager

from harness.frameworks.contract.framework import Framework, Quiet
from harness.frameworks.keras3.fixes import FIXES
from harness.frameworks.keras3.template import port


def around(backend: str, quiet: Quiet) -> ContextManager[None]:
    """Keras in a port: on JAX its raw keys are tapped; on TensorFlow the tap itself knows initial values."""
    from harness.frameworks.keras3.initial import initial_values
    from harness.frameworks.keras3.jax_keys import tapped_keys

    return tapped_keys() if backend == "jax" else initial_values(quiet)


FRAMEWORK = Framework(
    name="keras3",
    backends=("tensorflow", "torch", "jax"),
    packages=("keras",),
    uses=("tensorflow", "torch", "jax"),
    api="keras",
    port=port,
    around=around,
    chosen_by="KERAS_BACKEND",
    written=("keras>=3",),
    fixes=FIXES,
)
