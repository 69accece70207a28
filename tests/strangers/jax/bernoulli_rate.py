import jax
import jax.numpy as jnp


def dropout(rng, x, p, is_training=True):
    # p: dropout probability
    if not is_training:
        return x
    mask = jax.random.bernoulli(rng, p, x.shape)
    return jnp.where(mask, x / p, 0.0)


def run(case):
    return {"y": dropout(case.key, case.inputs["x"], case.config["rate"], case.training)}
