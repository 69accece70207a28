import jax
import jax.numpy as jnp


def run(case):
    x = case.inputs["x"]
    rate = case.config["rate"]
    if not case.training:
        return {"y": x}
    keep = 1.0 - rate
    mask = jnp.floor(keep + jax.random.uniform(case.key, x.shape, x.dtype))
    dropped = x * mask / keep
    # keep the op out of the autodiff graph, mask needs no grad
    y = x + jax.lax.stop_gradient(dropped - x)
    return {"y": y}
