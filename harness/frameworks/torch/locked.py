"""LockedDropout: one mask for all steps of a sequence, (1, B, F) on sequence-first (T, B, F) arrays.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 3 ("variational
dropout"), after Gal & Ghahramani 2016 (arXiv 1512.05287). The recipe as it is written: Bernoulli draws, divided by the keep
probability. At rate 1 that is 0/0, and its outputs are NaN.
"""

from typing import Any, Dict, List, Sequence, Tuple

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.capabilities import EVERY, Shared
from harness.frameworks.contract.places import TIME_FIRST, slots_of
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Leaf, TorchAdapter, rate_of
from harness.frameworks.torch.sequence import Stack, State, layer_leaves, load
from harness.tape import Slot

#: One mask for all steps, and for all gates that read it.
LOCKED = (Shared(("gates", "time")),)


def locked_dropout(x: Any, rate: float, train: bool) -> Any:
    """Apply LockedDropout to a sequence-first x, (T, B, F)."""
    if not train or not rate:
        return x
    mask = x.new_empty((1, x.size(1), x.size(2))).bernoulli_(1.0 - rate) / (1.0 - rate)
    return x * mask


def locked_slots(job: Job, at: str, **where: int) -> List[Slot]:
    """The one draw, (1, B, F), of a part of a site."""
    site = job.acting(at)
    return [] if site is None else slots_of(site, TIME_FIRST, **where)


@implementation("recipe.LockedDropout", ["torch"], "dropout", needs=["torch"], recipe=True)
class LockedDropout(TorchAdapter):
    """On x (B, T, F), read as (T, B, F)."""

    sites = ("input",)
    shared = {EVERY: LOCKED}
    ranks = (3,)

    def slots(self, job: Job) -> List[Slot]:
        return locked_slots(job, "input")

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        x = inputs["x"].transpose(0, 1)
        return {"y": locked_dropout(x, rate_of(job, "input"), job.train).transpose(0, 1)}


class LockedStack(Stack):
    """One `torch.nn.LSTM` a layer, so that LockedDropout can act before, between and after them."""

    sites: Tuple[str, ...] = ("input", "output", "between_layers")
    settings = (*PLAIN_SETTINGS, "forget_bias")
    shared = {EVERY: LOCKED}

    def slots(self) -> List[Slot]:
        found = locked_slots(self.job, self.geometry.at("input"))
        for layer in range(self.geometry.layers):
            found += self.layer_slots(layer) + locked_slots(self.job, self.geometry.above(layer), layers=layer)
        return found

    def layer_slots(self, layer: int) -> List[Slot]:
        """What a layer draws itself."""
        return []

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        layers = torch.nn.ModuleList()
        for layer in range(self.geometry.layers):
            # The layers of a language model have sizes of their own.
            prefix = self.geometry.prefix(layer)
            kernel, recurrent = weights[prefix + "kernel"], weights[prefix + "recurrent_kernel"]
            lstm = torch.nn.LSTM(kernel.shape[0], recurrent.shape[0], dtype=kernel.dtype)
            load(lstm, self, prefix, "_l0", weights)
            layers.append(lstm)
        return layers.train(self.job.train)

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer, lstm in enumerate(built):
            found.update(layer_leaves(lstm, self, self.geometry.prefix(layer), "_l0"))
        return found

    def through(self, built: Any, x: Any, state: Sequence[Sequence[Any]]) -> Tuple[Any, List[Any], List[Any]]:
        """Run x (T, B, D) from h and c (B, ·) by layer; returns y (T, B, P) and the last h and c likewise."""
        train = self.job.train
        y = locked_dropout(x, self.rate("input"), train)
        last_h, last_c = [], []
        for layer, lstm in enumerate(built):
            h0, c0 = (part[layer].unsqueeze(0).contiguous() for part in state)
            y, (h, c) = self.layer(layer, lstm, y, (h0, c0))
            y = locked_dropout(y, rate_of(self.job, self.geometry.above(layer)), train)
            last_h.append(h[0])
            last_c.append(c[0])
        return y, last_h, last_c

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        torch = torch_module()
        y, h, c = self.through(built, x.transpose(0, 1).contiguous(), state)
        return y.transpose(0, 1), torch.stack(h), torch.stack(c)

    def layer(self, number: int, lstm: Any, x: Any, state: State) -> Any:
        """Call one layer."""
        return lstm(x, state)
