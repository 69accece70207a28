"""Noise layers written with `jax.random`, as its users write them: there is no native layer in JAX itself.

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

import math
from typing import Any, Dict, List, Tuple

from harness.adapters.base import Job, SiteSpec, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active
from harness.tape import BERNOULLI, NORMAL, Slot

#: -lambda alpha of SELU (Klambauer et al. 2017, arXiv 1706.02515).
ALPHA_PRIME = -1.6732632423543772 * 1.0507009873554805


def multiply(site: SiteSpec, key: Any, array: Any) -> Any:
    """Apply one multiplicative site: Bernoulli by `jnp.where`, Gaussian N(1, rate / (1 - rate)).

    At rate 1 nothing is left, so nothing is drawn: 0 / 0 would make every gradient NaN.
    """
    import jax
    import jax.numpy as jnp

    keep = 1.0 - site.rate
    if keep == 0.0:
        return jnp.zeros_like(array)
    if site.noise == "gaussian":
        noise = jax.random.normal(key, site.shape, array.dtype)
        return array * (1.0 + math.sqrt(site.rate / keep) * noise)
    mask = jax.random.bernoulli(key, keep, site.shape)
    return jnp.where(mask, array if site.scale == "none" else array / keep, jnp.zeros((), array.dtype))


def draws(job: Job, site: SiteSpec) -> bool:
    """Whether `multiply` draws for this site."""
    return active(job, site) and site.rate < 1.0


class _Noise(JaxAdapter):
    """y = noise(x) on the one site `input`."""

    sites = ("input",)
    kinds: Tuple[str, ...] = (BERNOULLI,)

    def slots(self, job: Job) -> List[Slot]:
        """One draw of each kind, in the site's own shape."""
        (site,) = job.sites
        if not self.drawn(job, site):
            return []
        names = {BERNOULLI: "input", NORMAL: "input/normal" if BERNOULLI in self.kinds else "input"}
        return [Slot(names[kind], kind, site.shape, site.shape) for kind in self.kinds]

    def drawn(self, job: Job, site: SiteSpec) -> bool:
        """Whether anything is drawn."""
        return draws(job, site)

    def function(self, job: Job) -> Function:
        """The layer on x."""
        (site,) = job.sites

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            return {"y": self.apply(site, key, arrays["x"]) if active(job, site) else arrays["x"]}

        return call

    def apply(self, site: SiteSpec, key: Any, x: Any) -> Any:
        """The layer in training."""
        return multiply(site, key, x)


@implementation("jax.random.bernoulli", ["jax"], "dropout", needs=["jax"], recipe=True)
class Dropout(_Noise):
    """where(bernoulli(key, 1 - rate), x / (1 - rate), 0)."""


@implementation("jax.random.normal", ["jax"], "gaussian_dropout", needs=["jax"], recipe=True)
class GaussianDropout(_Noise):
    """x * (1 + sqrt(rate / (1 - rate)) * normal(key))."""

    noises = ("gaussian",)
    kinds = (NORMAL,)


@implementation("jax.random.normal", ["jax"], "gaussian_noise", needs=["jax"], recipe=True)
class GaussianNoise(_Noise):
    """x + stddev * normal(key)."""

    noises = ("additive",)
    kinds = (NORMAL,)

    def drawn(self, job: Job, site: SiteSpec) -> bool:
        """At every deviation above 0."""
        return active(job, site)

    def apply(self, site: SiteSpec, key: Any, x: Any) -> Any:
        """Add the noise."""
        import jax

        return x + site.stddev * jax.random.normal(key, site.shape, x.dtype)


@implementation("jax.random.normal", ["jax"], "masked_gaussian_noise", needs=["jax"], recipe=True)
class MaskedGaussianNoise(_Noise):
    """where(bernoulli(k1, 1 - rate), x, x + stddev * normal(k2)): noise where dropout would have dropped."""

    noises = ("masked_additive",)
    kinds = (BERNOULLI, NORMAL)

    def drawn(self, job: Job, site: SiteSpec) -> bool:
        """At every deviation above 0, whatever the rate."""
        return active(job, site)

    def apply(self, site: SiteSpec, key: Any, x: Any) -> Any:
        """Draw the mask, then the noise."""
        import jax
        import jax.numpy as jnp

        for_mask, for_noise = jax.random.split(key)
        mask = jax.random.bernoulli(for_mask, 1.0 - site.rate, site.shape)
        return jnp.where(mask, x, x + site.stddev * jax.random.normal(for_noise, site.shape, x.dtype))


@implementation("jax.random.bernoulli", ["jax"], "alpha_dropout", needs=["jax"], recipe=True)
class AlphaDropout(_Noise):
    """a * where(bernoulli(key, 1 - rate), x, alpha') + b with the a and b that restore mean 0 and variance 1."""

    noises = ("alpha",)

    def apply(self, site: SiteSpec, key: Any, x: Any) -> Any:
        """Apply the affine map of the paper's section on dropout."""
        import jax
        import jax.numpy as jnp

        keep = 1.0 - site.rate
        a = (keep + ALPHA_PRIME**2 * keep * site.rate) ** -0.5
        mask = jax.random.bernoulli(key, keep, site.shape)
        return a * jnp.where(mask, x, jnp.asarray(ALPHA_PRIME, x.dtype)) - a * site.rate * ALPHA_PRIME
