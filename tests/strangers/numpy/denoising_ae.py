"""Corruption of a denoising autoencoder: Gaussian noise on a random subset of the inputs."""
import numpy as np


class Corruption:
    def __init__(self, fraction, sigma, rng):
        self.fraction, self.sigma, self.rng = fraction, sigma, rng

    def __call__(self, x):
        selected = self.rng.bernoulli(1.0 - self.fraction, x.shape)
        noise = self.sigma * self.rng.standard_normal(x.shape)
        return np.where(selected, x + noise, x).astype(x.dtype)


def run(case):
    x = case.inputs["x"]
    if not case.training:
        return {"y": x}
    return {"y": Corruption(case.config["rate"], case.config["stddev"], case.rng)(x)}
