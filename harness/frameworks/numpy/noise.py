"""The noise layers as NumPy recipes, from the formulas that people print: dropout, its Gaussian kin, alpha dropout.

A gradient here needs one complex evaluation in all: each output depends on its own input only.
"""

from typing import Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.numpy.base import STEP, Arrays, NumpyAdapter, exact, multiplier
from harness.noises import Site

SITE = "input"

# SELU's scale and alpha (Klambauer et al. 2017, arXiv 1706.02515); dropped elements take -scale * alpha.
SELU = (1.0507009873554804934193349852946, 1.6732632423543772848170429916717)


class Noise(NumpyAdapter):
    """y = noise(x), elementwise."""

    sites = (SITE,)

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        x = inputs["x"]
        site = job.acting(SITE)
        if site is None:
            return {"y": x.copy()}
        with np.errstate(invalid="ignore"):  # inf * 0 is NaN, as in every framework
            return {"y": self.apply(site, x, draws)}

    def gradients(self, job: Job, draws: Arrays) -> Arrays:
        moved = exact(job.inputs)["x"] + 1j * STEP
        slope = self.forward(job, {"x": moved}, {}, draws)["y"].imag / STEP
        return {"x": slope * exact(job.cotangents)["y"]}

    def apply(self, site: Site, x: np.ndarray, draws: Arrays) -> np.ndarray:
        """The noise, in the dtype of x."""
        raise NotImplementedError


def real_type(x: np.ndarray) -> type:
    """The scalar type of x's real part."""
    return np.float64 if x.dtype.kind == "c" else x.dtype.type


@implementation("numpy.dropout", ["numpy"], "dropout", needs=["numpy"], recipe=True)
class Dropout(Noise):
    """x * (u >= rate) / keep, on a noise shape with size 1 at the shared axes."""

    def apply(self, site: Site, x: np.ndarray, draws: Arrays) -> np.ndarray:
        return np.asarray(x * multiplier(site, draws[SITE], x))


@implementation("numpy.gaussian_dropout", ["numpy"], "gaussian_dropout", needs=["numpy"], recipe=True)
class GaussianDropout(Noise):
    """x * N(1, rate / (1 - rate))."""

    noises = ("gaussian",)

    def apply(self, site: Site, x: np.ndarray, draws: Arrays) -> np.ndarray:
        return np.asarray(x * multiplier(site, draws[SITE], x))


@implementation("numpy.gaussian_noise", ["numpy"], "gaussian_noise", needs=["numpy"], recipe=True)
class GaussianNoise(Noise):
    """x + N(0, stddev**2)."""

    noises = ("additive",)

    def apply(self, site: Site, x: np.ndarray, draws: Arrays) -> np.ndarray:
        scalar = real_type(x)
        return np.asarray(x + scalar(site.stddev) * draws[SITE].astype(scalar))


@implementation("numpy.masked_gaussian_noise", ["numpy"], "masked_gaussian_noise", needs=["numpy"], recipe=True)
class MaskedGaussianNoise(Noise):
    """x * mask + (x + N(0, stddev**2)) * (1 - mask), the printed "RealGaussianDropout"."""

    noises = ("masked_additive",)

    def apply(self, site: Site, x: np.ndarray, draws: Arrays) -> np.ndarray:
        scalar = real_type(x)
        mask: np.ndarray = draws[SITE].astype(scalar)
        noised = x + scalar(site.stddev) * draws[SITE + "/normal"].astype(scalar)
        return np.asarray(x * mask + noised * (scalar(1) - mask))


@implementation("numpy.alpha_dropout", ["numpy"], "alpha_dropout", needs=["numpy"], recipe=True)
class AlphaDropout(Noise):
    """a (x mask + alpha' (1 - mask)) + b, with a and b computed in float64 and rounded once."""

    noises = ("alpha",)

    def apply(self, site: Site, x: np.ndarray, draws: Arrays) -> np.ndarray:
        scalar = real_type(x)
        mask: np.ndarray = draws[SITE].astype(scalar)
        low = -SELU[0] * SELU[1]
        a, b = self.constants(site.rate, low)
        return np.asarray(scalar(a) * (x * mask + scalar(low) * (scalar(1) - mask)) + scalar(b))

    @staticmethod
    def constants(rate: float, low: float) -> Tuple[float, float]:
        """The a and b that restore mean 0 and variance 1."""
        keep = 1.0 - rate
        a = 1.0 / float(np.sqrt(keep + low * low * keep * rate))
        return a, -a * low * rate
