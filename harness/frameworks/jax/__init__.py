"""JAX: the tap, programs, and recipes in plain JAX."""

import sys

from harness.frameworks.contract.framework import Framework, Template
from harness.frameworks.jax.fixes import FIXES


def device() -> str:
    """The platform of JAX's default backend."""
    return str(sys.modules["jax"].default_backend()) if "jax" in sys.modules else "cpu"


FRAMEWORK = Framework(
    name="jax",
    backends=("jax",),
    packages=("jax", "jaxlib"),
    listed=3,
    extra="jax",
    device=device,
    offered=2,
    seen="case.key",
    keyed=True,
    jit=True,
    template=Template(
        imports="import jax\nimport jax.numpy as jnp",
        start="    h = c = jnp.zeros((batch, units), x.dtype)",
        step="i, f, g, o = jnp.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)",
        sigmoid="jax.nn.sigmoid",
        tanh="jnp.tanh",
        output=(
            'keep = 1.0 - case.rate("output")\n'
            "    y = jnp.stack(steps, axis=1)\n"
            "    if keep < 1.0:\n"
            "        y = jnp.where(jax.random.bernoulli(case.key, keep, y.shape), y / keep, 0.0)"
        ),
        source="key",
    ),
    fixes=FIXES,
)
