"""What to do about faults, in JAX's words."""

from harness.frameworks.contract.framework import Fix

FIXES = (
    Fix("mask.absent", "where case.training is true draw with case.key, at the site's rate"),
    Fix("mask.in evaluation", "draw only where case.training is true"),
    Fix("mask.fresh over time", "draw outside of lax.scan and close over the mask, or use one key for all steps"),
    Fix("scale.rate*", "jax.random.bernoulli takes the keep probability, 1 - rate"),
    Fix("decisions.rate*", "jax.random.bernoulli takes the keep probability, 1 - rate"),
    Fix(
        "gradient.stopped weights",
        "compute with the arrays of case.weights themselves: what is made of their numbers, np.asarray(…), has no gradient",
    ),
    Fix("gradient.stopped everywhere", "no jax.lax.stop_gradient around the outputs"),
    Fix("precision.float32", "set jax_enable_x64 before the first array is made, and pass dtype=float64"),
    Fix("precision.float16", 'set jax_default_matmul_precision to "highest"'),
)
