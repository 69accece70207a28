"""`torch.nn.Dropout`, its functional and fused forms, the spatial and the alpha variants.

https://docs.pytorch.org/docs/stable/nn.html#dropout-layers . Spatial layers read channels first, (N, C, ...), and drop
whole channels; the canonical array has features last, so a spatial layer sees its transpose. On a batch-major (B, T, D)
array as it is, Dropout1d drops time steps: that is what a case with `shared: [features]` asks for.
"""

from typing import Any, Dict, List, Sequence, Tuple

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.capabilities import AFTER_SECOND, EVERY, INNER, OWN, Shared
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import TorchAdapter, drawing, rate_of
from harness.frameworks.torch.compile import backend_of, maybe_compiled
from harness.noises import whole_slots
from harness.tape import BERNOULLI, Slot

SITE = "input"


class Elementwise(TorchAdapter):
    """A layer that decides for every element on its own, whatever the rank."""

    sites = (SITE,)
    shared = {EVERY: (OWN,)}

    def check(self, job: Job) -> None:
        super().check(job)
        backend_of(job.options)

    def slots(self, job: Job) -> List[Slot]:
        site = drawing(job, SITE)
        return [] if site is None else whole_slots(site)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        return {"y": self.apply(job, inputs["x"])}

    def apply(self, job: Job, x: Any) -> Any:
        """The layer on one tensor."""
        raise NotImplementedError


class Module(Elementwise):
    """A module called by its class name in torch.nn. `inplace` writes into a copy: a leaf may not be overwritten."""

    options = {"inplace": False, "compile": False}
    module = ""

    def apply(self, job: Job, x: Any) -> Any:
        torch = torch_module()
        inplace = bool(self.option(job, "inplace"))
        layer = getattr(torch.nn, self.module)(rate_of(job, SITE), inplace=inplace)
        layer.train(job.train)
        return maybe_compiled(layer, job.options)(x.clone() if inplace else x)


@implementation("torch.nn.Dropout", ["torch"], "dropout", needs=["torch"])
class Dropout(Module):
    """y = x * mask * (1 / (1 - p)), the reciprocal rounded to the dtype first."""

    module = "Dropout"


@implementation("torch.nn.functional.dropout", ["torch"], "dropout", needs=["torch"])
class FunctionalDropout(Elementwise):
    """The function; its `training` defaults to True."""

    options = {"inplace": False}

    def apply(self, job: Job, x: Any) -> Any:
        inplace = bool(self.option(job, "inplace"))
        source = x.clone() if inplace else x
        return torch_module().nn.functional.dropout(source, rate_of(job, SITE), training=job.train, inplace=inplace)


@implementation("torch.native_dropout", ["torch"], "dropout", needs=["torch"])
class NativeDropout(Elementwise):
    """The fused operator that GPUs use: draws at rate 0 and 1 too, and scales by 1 / (1 - p) rounded once."""

    def slots(self, job: Job) -> List[Slot]:
        site = job.site(SITE)
        return [] if site is None or not job.train else whole_slots(site)

    def apply(self, job: Job, x: Any) -> Any:
        return torch_module().native_dropout(x, rate_of(job, SITE), job.train)[0]


@implementation("torch.nn.AlphaDropout", ["torch"], "alpha_dropout", needs=["torch"])
class AlphaDropout(Module):
    """Klambauer et al. 2017 (arXiv 1706.02515): dropped elements become the negative saturation value."""

    module = "AlphaDropout"
    noises = ("alpha",)


@implementation("torch.nn.functional.alpha_dropout", ["torch"], "alpha_dropout", needs=["torch"])
class FunctionalAlphaDropout(Elementwise):
    """The function; unlike F.dropout's, its `training` defaults to False."""

    noises = ("alpha",)

    def apply(self, job: Job, x: Any) -> Any:
        return torch_module().nn.functional.alpha_dropout(x, rate_of(job, SITE), training=job.train)


class Channelwise(TorchAdapter):
    """A module that drops whole channels of (N, C, ...), its second axis.

    Which axis that is follows from what the mask is shared over: all but the first and the last, and the layer sees the
    transpose with features second; or all but the first two, and it sees the array as it is.
    """

    options = {"inplace": False}
    sites = (SITE,)
    shared = {EVERY: (Shared(INNER), Shared(AFTER_SECOND))}
    module = ""

    def axes(self, job: Job) -> Tuple[int, ...]:
        """The permutation from the canonical array to the one that the layer sees."""
        rank = job.inputs["x"].ndim
        site = job.site(SITE)
        if site is not None and set(site.shared) == set(site.axes[2:]):
            return tuple(range(rank))
        return (0, rank - 1, *range(1, rank - 1))

    def slots(self, job: Job) -> List[Slot]:
        site = drawing(job, SITE)
        if site is None:
            return []
        axes = self.axes(job)
        return [Slot(SITE, BERNOULLI, tuple(site.shape[axis] for axis in axes), tuple(site.shape), (), axes)]

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        torch = torch_module()
        x = inputs["x"]
        layer = getattr(torch.nn, self.module)(rate_of(job, SITE), inplace=bool(self.option(job, "inplace")))
        layer.train(job.train)
        # A contiguous copy, so that masks are drawn in the order of (N, C, ...) and a leaf is never overwritten.
        axes = self.axes(job)
        native = x.permute(axes).clone(memory_format=torch.contiguous_format)
        return {"y": layer(native).permute([axes.index(axis) for axis in range(x.ndim)])}


def _spatial(name: str, layer: str, ranks: Sequence[int], noise: str) -> None:
    """Register one channel-dropping module of torch.nn for a layer kind."""
    cls = type(
        name, (Channelwise,), {"module": name, "ranks": tuple(ranks), "noises": (noise,), "__module__": __name__}
    )
    implementation("torch.nn." + name, ["torch"], layer, needs=["torch"])(cls)


_spatial("Dropout1d", "dropout", (3,), "bernoulli")
# torch takes rank 3 as (N, C, L) there, with a warning, not as one unbatched image.
_spatial("Dropout2d", "dropout", (3, 4), "bernoulli")
_spatial("Dropout3d", "dropout", (5,), "bernoulli")
_spatial("FeatureAlphaDropout", "alpha_dropout", (3, 4, 5), "alpha")
