import jax
from flax import nnx


class GaussianNoise(nnx.Module):
    def __init__(self, sigma: float, *, rngs: nnx.Rngs):
        self.sigma = sigma
        self.rngs = rngs

    def __call__(self, x: jax.Array) -> jax.Array:
        eps = jax.random.normal(self.rngs.noise(), x.shape, x.dtype)
        return x + self.sigma * eps


class Pipeline(nnx.Module):
    def __init__(self, sigma, rngs):
        self.noise = GaussianNoise(sigma, rngs=rngs)

    def __call__(self, x):
        return self.noise(x)


def run(case):
    pipe = Pipeline(case.config["stddev"], nnx.Rngs(noise=case.key))
    if case.training:
        pipe.train()
    else:
        pipe.eval()
    return {"y": pipe(case.inputs["x"])}
