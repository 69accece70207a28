"""Stacks of LSTM layers in torch, as the `lstm` and `encoder_decoder` adapters drive them.

A stack translates weights, says which draws it makes, and runs one sequence. Canonical arrays are batch-major, (B, T, D),
gates i, f, g, o as in torch; torch keeps kernels as (4H, I), the transpose, and two biases: the canonical one is b_ih,
and b_hh holds the constant `forget_bias`, 0 without one. (Training both would move the sum twice as fast: the gradient
reported is that of b_ih.)
"""

from typing import Any, Dict, List, Sequence, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, SiteSpec
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import Leaf, same, transposed
from harness.adapters.torch_compile import backend_of
from harness.tape import Slot

#: h (L * N, B, P) and c (L * N, B, H), L layers, N directions, as torch has them.
State = Tuple[Any, Any]


class Stack(object):
    """One stack of LSTM layers of a job. `prefix` is "" or, in an encoder-decoder, "encoder." or "decoder."."""

    #: sites that this stack can express, without their prefix.
    sites: Tuple[str, ...] = ()
    #: options that it understands, with their defaults.
    defaults: Dict[str, Any] = {}
    #: settings of the layer kind that it understands.
    settings: Tuple[str, ...] = PLAIN_SETTINGS

    def __init__(self, job: Job, sequence: str, prefix: str = "", options: Any = None) -> None:
        self.job = job
        self.config = dict(job.config)
        self.prefix = prefix
        # Tied halves share one set of weights, named as those of one LSTM.
        self.weight_prefix = "" if job.config.get("tied") else prefix
        self.options = dict(self.defaults, **(options or {}))
        self.layers = int(job.config.get("layers", 1))
        self.units = int(job.config["units"])
        self.directions = 2 if job.config.get("bidirectional") else 1
        #: P, the width of one direction's h.
        self.outputs = int(job.config.get("projection") or self.units)
        self.batch, self.time, self.features = job.inputs[sequence].shape

    def prefixes(self, layer: int) -> List[str]:
        """What the names of a layer's weights start with, for each direction."""
        above = self.weight_prefix + ("layer%d." % layer if self.layers > 1 else "")
        return [above + "forward.", above + "backward."] if self.directions == 2 else [above]

    def width(self, layer: int) -> int:
        """How wide the sequence is that a layer reads."""
        return self.directions * self.outputs if layer else self.features

    def at(self, site: str) -> str:
        """A site's name in the job."""
        return self.prefix + site

    def own_sites(self) -> List[SiteSpec]:
        """The job's sites in this stack."""
        return [site for site in self.job.sites if site.at in [self.at(name) for name in self.sites]]

    def check(self) -> None:
        """Raise Unsupported for values of options and for shared axes that this stack does not have."""
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
        """Run x (B, T, D) from a state; returns y (B, T, N P) and the last h and c."""
        raise NotImplementedError

    def native_states(self, built: Any, x: Any, state: State) -> Tuple[Any, ...]:
        """The final states as torch returns them, untranslated, for x (B, T, D) without dropout; () where not to be had."""
        return ()

    def start(self, inputs: Dict[str, Any], like: Any) -> State:
        """The initial state of the inputs `h0` and `c0`; zeros where they are not given."""
        found = []
        for name, width in (("h0", self.outputs), ("c0", self.units)):
            shape = (self.layers * self.directions, self.batch, width)
            found.append(inputs[name].reshape(shape) if name in inputs else like.new_zeros(shape))
        return found[0], found[1]

    def canonical_state(self, state: Any) -> Any:
        """A state with the leading axes that the layer kind gives it: layers, directions, each where there are several."""
        leading = ([self.layers] if self.layers > 1 else []) + ([2] if self.directions == 2 else [])
        return state.reshape([*leading, self.batch, state.shape[-1]])

    def last_step(self, y: Any) -> Any:
        """What is returned instead of the sequence: of each direction the step that it read last."""
        if self.directions == 1:
            return y[:, -1]
        return torch_module().cat([y[:, -1, : self.outputs], y[:, 0, self.outputs :]], dim=-1)


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
    units = stack.units
    with torch.no_grad():
        for name, native, turned in native_weights(stack, prefix, suffix):
            getattr(module, native).copy_(weights[name].t() if turned else weights[name])
        second = getattr(module, "bias_hh" + suffix).zero_()
        second[units : 2 * units] = float(stack.job.config.get("forget_bias", 0.0))


def layer_leaves(module: Any, stack: Stack, prefix: str, suffix: str) -> Dict[str, Leaf]:
    """One layer's native parameters by their canonical names."""
    found: Dict[str, Leaf] = {}
    for name, native, turned in native_weights(stack, prefix, suffix):
        found[name] = (stack.parameter(module, native), transposed if turned else same)
    return found


def suffixes(layer: int, directions: int) -> Sequence[str]:
    """How torch.nn.LSTM's names for a layer end, for each direction."""
    return ["_l%d" % layer, "_l%d_reverse" % layer][:directions]
