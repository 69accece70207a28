"""Noise that torch has no layer for, written as people write it: Gaussian dropout, Gaussian noise, noise on dropped elements.

Formulas: harness.layers.gaussian_dropout, gaussian_noise and masked_gaussian_noise, with the papers.
"""

from typing import Any, Dict, List

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import TorchAdapter
from harness.noises import Site, whole_slots
from harness.tape import Slot

SITE = "input"


class Noise(TorchAdapter):
    """One draw of each kind that the noise takes, of the site's shape (shared axes have size 1)."""

    sites = (SITE,)

    def slots(self, job: Job) -> List[Slot]:
        site = job.acting(SITE)
        return [] if site is None else whole_slots(site)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        x, site = inputs["x"], job.acting(SITE)
        return {"y": x.clone() if site is None else self.noisy(site, x)}

    def noisy(self, site: Site, x: Any) -> Any:
        """The formula."""
        raise NotImplementedError


@implementation("recipe.GaussianDropout", ["torch"], "gaussian_dropout", needs=["torch"], recipe=True)
class GaussianDropout(Noise):
    """y = x * (1 + sqrt(rate / (1 - rate)) n)."""

    noises = ("gaussian",)

    def noisy(self, site: Site, x: Any) -> Any:
        return x * (1.0 + site.spread * torch_module().randn(site.shape, dtype=x.dtype))


@implementation("recipe.GaussianNoise", ["torch"], "gaussian_noise", needs=["torch"], recipe=True)
class GaussianNoise(Noise):
    """y = x + stddev n."""

    noises = ("additive",)

    def noisy(self, site: Site, x: Any) -> Any:
        return x + site.stddev * torch_module().randn(site.shape, dtype=x.dtype)


@implementation("recipe.MaskedGaussianNoise", ["torch"], "masked_gaussian_noise", needs=["torch"], recipe=True)
class MaskedGaussianNoise(Noise):
    """y = x where kept, x + stddev n elsewhere; kept elements are x to the bit."""

    noises = ("masked_additive",)

    def noisy(self, site: Site, x: Any) -> Any:
        torch = torch_module()
        kept = torch.empty(site.shape, dtype=x.dtype).bernoulli_(1.0 - site.rate)
        noise = site.stddev * torch.randn(site.shape, dtype=x.dtype)
        return torch.where(kept.bool(), x, x + noise)
