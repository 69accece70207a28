"""Noise that torch has no layer for, written as people write it: Gaussian dropout, Gaussian noise, noise on dropped elements.

Formulas: harness.layers.gaussian_dropout, gaussian_noise and masked_gaussian_noise, with the papers.
"""

from typing import Any, Dict, List, Tuple

from harness.adapters.base import Job, implementation
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import TorchAdapter
from harness.tape import BERNOULLI, NORMAL, Slot

SITE = "input"


class Noise(TorchAdapter):
    """One draw of each kind in `kinds`, of the site's shape (shared axes have size 1)."""

    sites = (SITE,)
    #: slot name and kind of every draw, in order.
    kinds: Tuple[Tuple[str, str], ...] = ((SITE, NORMAL),)

    def active(self, job: Job) -> bool:
        """Whether a call draws: in training, where there is anything to add."""
        raise NotImplementedError

    def slots(self, job: Job) -> List[Slot]:
        site = job.site(SITE)
        if site is None or not self.active(job):
            return []
        shape = tuple(site.shape)
        return [Slot(name, kind, shape, shape) for name, kind in self.kinds]

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        x = inputs["x"]
        return {"y": self.noisy(job, x) if self.active(job) else x.clone()}

    def noisy(self, job: Job, x: Any) -> Any:
        """The formula."""
        raise NotImplementedError


@implementation("recipe.GaussianDropout", ["torch"], "gaussian_dropout", needs=["torch"], recipe=True)
class GaussianDropout(Noise):
    """y = x * (1 + sqrt(rate / (1 - rate)) n)."""

    noises = ("gaussian",)

    def active(self, job: Job) -> bool:
        site = job.site(SITE)
        return job.train and site is not None and site.rate > 0.0

    def noisy(self, job: Job, x: Any) -> Any:
        site = job.site(SITE)
        assert site is not None
        stddev = (site.rate / (1.0 - site.rate)) ** 0.5
        return x * (1.0 + stddev * torch_module().randn(site.shape, dtype=x.dtype))


@implementation("recipe.GaussianNoise", ["torch"], "gaussian_noise", needs=["torch"], recipe=True)
class GaussianNoise(Noise):
    """y = x + stddev n."""

    noises = ("additive",)

    def active(self, job: Job) -> bool:
        site = job.site(SITE)
        return job.train and site is not None and site.stddev > 0.0

    def noisy(self, job: Job, x: Any) -> Any:
        site = job.site(SITE)
        assert site is not None
        return x + site.stddev * torch_module().randn(site.shape, dtype=x.dtype)


@implementation("recipe.MaskedGaussianNoise", ["torch"], "masked_gaussian_noise", needs=["torch"], recipe=True)
class MaskedGaussianNoise(Noise):
    """y = x where kept, x + stddev n elsewhere; kept elements are x to the bit."""

    noises = ("masked_additive",)
    kinds = ((SITE, BERNOULLI), (SITE + "/" + NORMAL, NORMAL))

    def active(self, job: Job) -> bool:
        site = job.site(SITE)
        return job.train and site is not None and site.stddev > 0.0 and site.rate > 0.0

    def noisy(self, job: Job, x: Any) -> Any:
        torch = torch_module()
        site = job.site(SITE)
        assert site is not None
        kept = torch.empty(site.shape, dtype=x.dtype).bernoulli_(1.0 - site.rate)
        noise = site.stddev * torch.randn(site.shape, dtype=x.dtype)
        return torch.where(kept.bool(), x, x + noise)
