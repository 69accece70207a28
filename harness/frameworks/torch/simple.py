"""`gru` and `simple_rnn` in torch: `torch.nn.GRU` and `torch.nn.RNN` with nn.Dropout around them, and loops with masks inside.

https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html : torch's gates are r, z, n where the canonical ones are
z, r, n; its reset gate acts after the recurrent product, so b_hh is a weight of its own. nn.RNN has a b_hh beside b_ih too:
the canonical bias is b_ih, b_hh is 0. Equations of the loops: harness.layers._simple_core.
"""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.capabilities import EVERY, Shared
from harness.frameworks.contract.geometry import outputs_of
from harness.frameworks.contract.places import SEQUENCE, TIME_FIRST, slots_of
from harness.frameworks.torch.arrays import from_numpy, torch_module
from harness.frameworks.torch.base import Leaf, TorchAdapter, Written, beside, drawing, owned, parameters, rate_of
from harness.frameworks.torch.loops import Masks, product, slots_by_step
from harness.tape import Slot

#: torch's name of each canonical weight, and whether it is transposed.
NATIVE = {
    "kernel": ("weight_ih_l0", True),
    "recurrent_kernel": ("weight_hh_l0", True),
    "bias": ("bias_ih_l0", False),
    "recurrent_bias": ("bias_hh_l0", False),
}


class Recurrent(TorchAdapter):
    """What native layers and loops share: initial state, last step, outputs by name."""

    settings = (*PLAIN_SETTINGS, "reset_after")

    def start(self, job: Job, inputs: Dict[str, Any]) -> Any:
        """The initial h, (B, H)."""
        x = inputs["x"]
        return inputs["h0"] if "h0" in inputs else x.new_zeros((x.shape[0], job.config["units"]))

    def named(self, job: Job, y: Any, h: Any) -> Dict[str, Any]:
        """Outputs of a sequence y (B, T, H) and the last h (B, H)."""
        return outputs_of(job.stacks, job.config, y, [[h]], beside)


class NativeRecurrent(Recurrent):
    """A module of torch.nn between two nn.Dropout; sequence-first unless `batch_first`."""

    options = {"batch_first": False}
    sites = ("input", "output")
    shared = {EVERY: (Shared(("gates",)),)}
    values = {"reset_after": (True,)}
    because = {"reset_after": "torch.nn.GRU resets after the recurrent product"}
    module = ""
    #: blocks of columns in torch's order.
    order: Tuple[int, ...] = (0,)

    def slots(self, job: Job) -> List[Slot]:
        sites = [drawing(job, at) for at in self.sites]
        order = SEQUENCE if self.option(job, "batch_first") else TIME_FIRST
        return [slot for site in sites if site is not None for slot in slots_of(site, order)]

    def turned(self, tensor: Any) -> Any:
        """Gate blocks along the last axis, from the canonical order to torch's or back (each is its own inverse)."""
        blocks = tensor.chunk(len(self.order), dim=-1)
        return torch_module().cat([blocks[index] for index in self.order], dim=-1)

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        features = weights["kernel"].shape[0]
        batch_first = bool(self.option(job, "batch_first"))
        layer = getattr(torch.nn, self.module)(
            features, job.config["units"], batch_first=batch_first, dtype=weights["kernel"].dtype
        )
        with torch.no_grad():
            layer.bias_hh_l0.zero_()
            for name, tensor in weights.items():
                native, transpose = NATIVE[name]
                tensor = self.turned(tensor)
                getattr(layer, native).copy_(tensor.t() if transpose else tensor)
        before, after = (torch.nn.Dropout(rate_of(job, at)) for at in self.sites)
        return torch.nn.ModuleList([before, layer, after]).train(job.train)

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for name in job.weights:
            native, transpose = NATIVE[name]
            found[name] = (getattr(built[1], native), self._transposed if transpose else self.turned)
        return found

    def _transposed(self, tensor: Any) -> Any:
        return self.turned(tensor.t())

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        y, h = self.called(job, built, inputs)
        return self.named(job, y if self.option(job, "batch_first") else y.transpose(0, 1), h[0])

    def called(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Tuple[Any, Any]:
        """What the module returns, its sequence dropped."""
        before, layer, after = built
        x = inputs["x"] if self.option(job, "batch_first") else inputs["x"].transpose(0, 1).contiguous()
        y, h = layer(before(x), self.start(job, inputs).unsqueeze(0))
        return after(y), h

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        with torch_module().no_grad():
            built = self.build(job, {name: from_numpy(array) for name, array in job.weights.items()})
            inputs = {name: from_numpy(array) for name, array in job.inputs.items()}
            _, h = self.called(job, built, inputs)
        return dict(parameters(built), state0=owned(h))


@implementation("torch.nn.GRU", ["torch"], "gru", needs=["torch"])
class GRU(NativeRecurrent):
    """One layer."""

    module = "GRU"
    order = (1, 0, 2)


@implementation("torch.nn.RNN", ["torch"], "simple_rnn", needs=["torch"])
class RNN(NativeRecurrent):
    """One layer with tanh."""

    module = "RNN"


class Loop(Written, Recurrent):
    """The equations, with masks on x and on the h that enters the products; drawn when a step first needs them."""

    sites = ("input", "state.h", "output")
    noises = ("bernoulli", "gaussian")

    def slots(self, job: Job) -> List[Slot]:
        steps = job.stacks[0].order()
        return slots_by_step((drawing(job, at), 0, step) for step in steps for at in self.sites)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        torch = torch_module()
        masks = Masks(job)
        h = self.start(job, inputs)
        emitted = []
        for t, x in enumerate(inputs["x"].unbind(1)):
            h = self.step(job, built, masks.times("input", 0, t, x), masks.times("state.h", 0, t, h), h)
            emitted.append(masks.times("output", 0, t, h))
        return self.named(job, torch.stack(emitted, 1), h)

    def step(self, job: Job, weights: Dict[str, Any], x: Any, masked: Any, h: Any) -> Any:
        """The new h, (B, H)."""
        raise NotImplementedError


@implementation("recipe.gru_loop", ["torch"], "gru", needs=["torch"], recipe=True)
class GruLoop(Loop):
    """GRU, the reset gate after the recurrent product or before it."""

    def step(self, job: Job, weights: Dict[str, Any], x: Any, masked: Any, h: Any) -> Any:
        torch = torch_module()
        a = product(x, weights["kernel"], 3) + weights["bias"]
        units = job.config["units"]
        kernel = weights["recurrent_kernel"]
        gates = slice(None, 2 * units)
        second: Optional[Any] = weights.get("recurrent_bias")
        on_gates = product(part(masked, 2), kernel[:, gates], 2)
        z, r = torch.sigmoid(a[:, gates] + (on_gates if second is None else on_gates + second[gates])).chunk(2, dim=-1)
        last = masked if masked.dim() == 2 else masked[2]
        if second is not None:
            inner = r * (last @ kernel[:, 2 * units :] + second[2 * units :])
        else:
            inner = (r * last) @ kernel[:, 2 * units :]
        n = torch.tanh(a[:, 2 * units :] + inner)
        return z * h + (1.0 - z) * n


@implementation("recipe.rnn_loop", ["torch"], "simple_rnn", needs=["torch"], recipe=True)
class RnnLoop(Loop):
    """Elman's layer."""

    def step(self, job: Job, weights: Dict[str, Any], x: Any, masked: Any, h: Any) -> Any:
        z = x @ weights["kernel"] + masked @ weights["recurrent_kernel"] + weights["bias"]
        return torch_module().tanh(z)


def part(masked: Any, gates: int) -> Any:
    """The first gates' inputs, where each gate has its own."""
    return masked if masked.dim() == 2 else masked[:gates]
