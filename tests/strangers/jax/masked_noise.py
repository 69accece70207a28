import jax
import jax.numpy as jnp
from flax import nnx


class DenoisingCorruption(nnx.Module):
    """Adds noise to a random subset of the entries (denoising autoencoder)."""

    def __init__(self, rate, std, *, rngs):
        self.rate, self.std = rate, std
        self.rngs = rngs
        self.deterministic = False

    def __call__(self, x):
        if self.deterministic:
            return x
        hit = jax.random.uniform(self.rngs.mask(), x.shape, x.dtype) < self.rate
        noise = jax.random.normal(self.rngs.noise(), x.shape, x.dtype)
        return x + jnp.where(hit, self.std * noise, 0)


def run(case):
    layer = DenoisingCorruption(case.config["rate"], case.config["stddev"], rngs=nnx.Rngs(case.seed))
    layer.train() if case.training else layer.eval()
    return {"y": layer(case.inputs["x"])}
