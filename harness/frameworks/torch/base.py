"""What all torch adapters share: seed, leaves, forward, vector-Jacobian product, canonical arrays back.

A subclass builds its module (`build`), runs it (`forward`) and says which native parameters the canonical weights
became (`leaves`).
"""

from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome
from harness.frameworks.torch.arrays import from_numpy, to_numpy, torch_module
from harness.frameworks.torch.tap import TorchTap
from harness.noises import Site
from harness.tape import Draw

#: A native parameter, and how its gradient becomes the canonical weight's.
Leaf = Tuple[Any, Callable[[Any], Any]]


def same(tensor: Any) -> Any:
    """A parameter in the canonical layout already."""
    return tensor


def transposed(tensor: Any) -> Any:
    """PyTorch keeps (out, in) where the canonical kernel is (in, out)."""
    return tensor.t()


class TorchAdapter(Adapter):
    """One torch implementation."""

    recalls = True
    scales: Tuple[str, ...] = ("inverted",)

    def tap(self, replay: Optional[Sequence[Draw]]) -> TorchTap:
        return TorchTap(replay)

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        """Make the layer and load the canonical weights (tensors) into it. What it draws is not dropout."""
        return {}

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        """The native parameter of each canonical weight that has a gradient."""
        return {}

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        """Run the layer on canonical tensors; outputs in the canonical layout."""
        raise NotImplementedError

    def call(self, job: Job, tap: Any) -> Outcome:
        built = self.build(job, {name: from_numpy(array) for name, array in job.weights.items()})
        return evaluated(job, lambda inputs: self.forward(job, built, inputs), lambda: self.leaves(job, built))


def evaluated(
    job: Job,
    forward: Callable[[Dict[str, Any]], Dict[str, Any]],
    leaves: Callable[[], Dict[str, Leaf]],
    reset: Callable[[], None] = lambda: None,
) -> Outcome:
    """All calls of a job after one seeding: `forward` of its inputs, and the last one's gradients, of inputs and `leaves()`.

    reset  what is done before the last call where the job says so.
    """
    torch = torch_module()
    wanted = bool(job.cotangents)
    inputs = {name: from_numpy(array) for name, array in job.inputs.items()}
    found: Dict[str, Leaf] = {
        name: (tensor.requires_grad_(wanted), same) for name, tensor in inputs.items() if tensor.is_floating_point()
    }
    # Building may have drawn initial weights: the stream starts here, as after a user's own manual_seed.
    torch.manual_seed(job.seed)
    with torch.set_grad_enabled(wanted):
        for left in reversed(range(job.calls)):
            if job.reset and not left:
                reset()
            outputs = forward(inputs)
    gradients = vector_jacobian(outputs, job.cotangents, {**found, **leaves()}) if wanted else {}
    return Outcome({name: owned(tensor) for name, tensor in outputs.items()}, gradients)


class Written(TorchAdapter):
    """A layer that is written out over the canonical weights: they are its parameters."""

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        for tensor in weights.values():
            tensor.requires_grad_(True)
        return weights

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        return {name: (tensor, same) for name, tensor in built.items()}


def parameters(module: Any) -> Dict[str, np.ndarray]:
    """A module's parameters under torch's names; of a list of modules those of the ones that have any."""
    own = [part for part in module if next(part.parameters(), None) is not None]
    if len(own) == 1:
        return {name: owned(tensor) for name, tensor in own[0].named_parameters()}
    return {
        "%d.%s" % (index, name): owned(tensor)
        for index, part in enumerate(own)
        for name, tensor in part.named_parameters()
    }


def beside(tensors: Sequence[Any]) -> Any:
    """Both directions' outputs in one, along the last axis."""
    return torch_module().cat(list(tensors), dim=-1)


def owned(tensor: Any) -> np.ndarray:
    """A tensor's values as a contiguous array of its own."""
    return np.array(to_numpy(tensor), order="C", copy=True)


def vector_jacobian(
    outputs: Dict[str, Any], cotangents: Dict[str, np.ndarray], leaves: Dict[str, Leaf]
) -> Dict[str, np.ndarray]:
    """Gradients of sum(cotangent * output) with respect to the leaves, in canonical layout.

    A leaf that no output depends on has gradient 0, as in the mathematics; autograd says None for it.
    """
    torch = torch_module()
    names = [name for name in cotangents if outputs[name].requires_grad]
    if not names:
        return {name: np.zeros_like(owned(convert(tensor))) for name, (tensor, convert) in leaves.items()}
    found = torch.autograd.grad(
        [outputs[name] for name in names],
        [tensor for tensor, _ in leaves.values()],
        grad_outputs=[from_numpy(cotangents[name]) for name in names],
        allow_unused=True,
    )
    gradients: Dict[str, np.ndarray] = {}
    for (name, (tensor, convert)), gradient in zip(leaves.items(), found):
        gradients[name] = owned(convert(torch.zeros_like(tensor) if gradient is None else gradient))
    return gradients


def drawing(job: Job, at: str) -> Optional[Site]:
    """The site if this call draws for it: torch draws nothing at rate 0 and 1, nor for an empty tensor."""
    site = job.drawing(at)
    return None if site is None or 0 in site.shape else site


def rate_of(job: Job, at: str) -> float:
    """The rate of a site; 0 where the case has none there."""
    site = job.site(at)
    return 0.0 if site is None else float(site.rate)
