"""Stacks of LSTM layers in torch, as the `lstm` and `encoder_decoder` adapters drive them.

A stack translates weights, says which draws it makes, and runs one sequence. Canonical arrays are batch-major, (B, T, D),
gates i, f, g, o as in torch; torch keeps kernels as (4H, I), the transpose, and two biases: the canonical one is b_ih,
and b_hh holds the constant `forget_bias`, 0 without one. (Training both would move the sum twice as fast: the gradient
reported is that of b_ih.)
"""

from typing import Any, Dict, List, Tuple

from harness.frameworks.contract.adapter import Job
from harness.frameworks.contract.capabilities import Capabilities
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Leaf, drawing, rate_of, same, transposed
from harness.frameworks.torch.compile import backend_of
from harness.noises import Site
from harness.tape import Slot

#: h (L * N, B, P) and c (L * N, B, H), L layers, N directions, as torch has them.
State = Tuple[Any, Any]


class Stack(Capabilities):
    """One stack of LSTM layers of a job. Its class declares what adapters of such a stack can do."""

    scales: Tuple[str, ...] = ("inverted",)

    def __init__(self, job: Job, geometry: Geometry) -> None:
        self.job, self.geometry = job, geometry
        self.config = dict(job.config)
        self.options = dict(type(self).options, **job.options)

    def drawing(self, name: str) -> List[Site]:
        """The site of that name in this stack, where a call draws for it."""
        site = drawing(self.job, self.geometry.at(name))
        return [] if site is None else [site]

    def rate(self, name: str) -> float:
        """The rate of a site of this stack; 0 where the case has none there."""
        return rate_of(self.job, self.geometry.at(name))

    def check(self) -> None:
        """Raise Unsupported for what this stack has not and cannot declare."""
        backend_of(self.options)

    def slots(self) -> List[Slot]:
        """The draws of one run, in order."""
        raise NotImplementedError

    def build(self, weights: Dict[str, Any]) -> Any:
        """Make the modules and load the weights."""
        raise NotImplementedError

    def share(self, built: Any, other: "Stack") -> Any:
        """The same modules and parameters for another stack of the job, which may have other dropout rates."""
        return built

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        """The native parameter of every canonical weight."""
        raise NotImplementedError

    def parameter(self, module: Any, name: str) -> Any:
        """The native parameter that the gradient is taken of, by torch's name."""
        return getattr(module, name)

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        """Run x (B, T, D) from a state; returns y (B, T, N P) and the last h and c as torch has them."""
        raise NotImplementedError

    def start(self, inputs: Dict[str, Any], like: Any) -> State:
        """The initial state of the inputs `h0` and `c0`; zeros where they are not given."""
        h0, c0 = (
            inputs[name + "0"].reshape(self._flat(name)) if name + "0" in inputs else like.new_zeros(self._flat(name))
            for name in self.geometry.states
        )
        return h0, c0

    def _flat(self, name: str) -> Tuple[int, ...]:
        layers, directions, *core = self.geometry.grid(name)
        return (layers * directions, *core)

    def canonical(self, state: State) -> List[Any]:
        """H and c with the leading axes that the layer kind gives them."""
        return [part.reshape(self.geometry.state_shape(name)) for name, part in zip(self.geometry.states, state)]


def native_weights(stack: Stack, prefix: str, suffix: str) -> List[Tuple[str, str, bool]]:
    """(canonical name, torch's name, whether transposed) of one layer's weights; `suffix` is "_l0", "_l0_reverse" or ""."""
    found = [
        (prefix + "kernel", "weight_ih" + suffix, True),
        (prefix + "recurrent_kernel", "weight_hh" + suffix, True),
        (prefix + "bias", "bias_ih" + suffix, False),
    ]
    if stack.job.config.get("projection"):
        found.append((prefix + "projection", "weight_hr" + suffix, True))
    return found


def load(module: Any, stack: Stack, prefix: str, suffix: str, weights: Dict[str, Any]) -> None:
    """Copy one layer's canonical weights into an nn.LSTM or nn.LSTMCell."""
    torch = torch_module()
    with torch.no_grad():
        for name, native, turned in native_weights(stack, prefix, suffix):
            getattr(module, native).copy_(weights[name].t() if turned else weights[name])
        second = getattr(module, "bias_hh" + suffix).zero_()
        units = len(second) // 4
        second[units : 2 * units] = float(stack.job.config.get("forget_bias", 0.0))


def layer_leaves(module: Any, stack: Stack, prefix: str, suffix: str) -> Dict[str, Leaf]:
    """One layer's native parameters by their canonical names."""
    found: Dict[str, Leaf] = {}
    for name, native, turned in native_weights(stack, prefix, suffix):
        found[name] = (stack.parameter(module, native), transposed if turned else same)
    return found


def suffix(layer: int, direction: int) -> str:
    """How torch.nn.LSTM's names for a layer and direction end."""
    return f"_l{layer}" + ("_reverse" if direction else "")
