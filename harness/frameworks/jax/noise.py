"""Noise layers written with `jax.random`, as its users write them: there is no native layer in JAX itself."""

from typing import Any

from harness.frameworks.contract.adapter import implementation
from harness.frameworks.contract.places import Part
from harness.frameworks.jax.lazy import jax, jnp
from harness.frameworks.jax.pointwise import Pointwise
from harness.noises import Site
from harness.tape import NORMAL

#: -lambda alpha of SELU (Klambauer et al. 2017, arXiv 1706.02515).
ALPHA_PRIME = -1.6732632423543772 * 1.0507009873554805


def multiply(site: Site, key: Any, array: Any) -> Any:
    """Apply one multiplicative site: Bernoulli by `jnp.where`, Gaussian N(1, rate / (1 - rate)).

    At rate 1 nothing is left, so nothing is drawn: 0 / 0 would make every gradient NaN.
    """
    keep = 1.0 - site.rate
    if keep == 0.0:
        return jnp.zeros_like(array)
    if NORMAL in site.draws:
        return array * (1.0 + site.spread * jax.random.normal(key, site.shape, array.dtype))
    mask = jax.random.bernoulli(key, keep, site.shape)
    return jnp.where(mask, array if site.scale == "none" else array / keep, jnp.zeros((), array.dtype))


class _Noise(Pointwise):
    """y = noise(x)."""

    def drop(self, part: Part, array: Any, key: Any, train: bool = True) -> Any:
        """The noise, where it changes anything."""
        return array if part.site.silent or not train else self.apply(part.site, key, array)

    def apply(self, site: Site, key: Any, x: Any) -> Any:
        """The layer in training."""
        return multiply(site, key, x)


@implementation("jax.random.bernoulli", ["jax"], "dropout", needs=["jax"], recipe=True)
class Dropout(_Noise):
    """where(bernoulli(key, 1 - rate), x / (1 - rate), 0)."""


@implementation("jax.random.normal", ["jax"], "gaussian_dropout", needs=["jax"], recipe=True)
class GaussianDropout(_Noise):
    """x * (1 + sqrt(rate / (1 - rate)) * normal(key))."""

    noises = ("gaussian",)


@implementation("jax.random.normal", ["jax"], "gaussian_noise", needs=["jax"], recipe=True)
class GaussianNoise(_Noise):
    """x + stddev * normal(key)."""

    noises = ("additive",)

    def apply(self, site: Site, key: Any, x: Any) -> Any:
        return x + site.stddev * jax.random.normal(key, site.shape, x.dtype)


@implementation("jax.random.normal", ["jax"], "masked_gaussian_noise", needs=["jax"], recipe=True)
class MaskedGaussianNoise(_Noise):
    """where(bernoulli(k1, 1 - rate), x, x + stddev * normal(k2)): noise where dropout would have dropped."""

    noises = ("masked_additive",)

    def apply(self, site: Site, key: Any, x: Any) -> Any:
        """Draw the mask, then the noise."""
        for_mask, for_noise = jax.random.split(key)
        mask = jax.random.bernoulli(for_mask, 1.0 - site.rate, site.shape)
        return jnp.where(mask, x, x + site.stddev * jax.random.normal(for_noise, site.shape, x.dtype))


@implementation("jax.random.bernoulli", ["jax"], "alpha_dropout", needs=["jax"], recipe=True)
class AlphaDropout(_Noise):
    """a * where(bernoulli(key, 1 - rate), x, alpha') + b with the a and b that restore mean 0 and variance 1."""

    noises = ("alpha",)

    def apply(self, site: Site, key: Any, x: Any) -> Any:
        """Apply the affine map of the paper's section on dropout."""
        keep = 1.0 - site.rate
        a = (keep + ALPHA_PRIME**2 * keep * site.rate) ** -0.5
        mask = jax.random.bernoulli(key, keep, site.shape)
        return a * jnp.where(mask, x, jnp.asarray(ALPHA_PRIME, x.dtype)) - a * site.rate * ALPHA_PRIME
