"""LockedDropout: one mask for all steps of a sequence, (1, B, F) on sequence-first (T, B, F) arrays.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 3 ("variational
dropout"), after Gal & Ghahramani 2016 (arXiv 1512.05287). The recipe as it is written: Bernoulli draws, divided by the keep
probability. At rate 1 that is 0/0, and its outputs are NaN.
"""

from typing import Any, Dict, List, Tuple

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


@implementation("recipe.LockedDropout", ["torch"], "dropout", needs=["torch"], recipe=True)
class LockedDropout(TorchAdapter):
    """On x (B, T, F), read as (T, B, F)."""

    sites = ("input",)
    shared = {EVERY: LOCKED}
    ranks = (3,)

    def slots(self, job: Job) -> List[Slot]:
        site = job.acting("input")
        return [] if site is None else slots_of(site, TIME_FIRST)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        x = inputs["x"].transpose(0, 1)
        return {"y": locked_dropout(x, rate_of(job, "input"), job.train).transpose(0, 1)}


class LockedStack(Stack):
    """One `torch.nn.LSTM` a layer, so that LockedDropout can act before, between and after them."""

    sites: Tuple[str, ...] = ("input", "output", "between_layers")
    settings = (*PLAIN_SETTINGS, "forget_bias")
    shared = {EVERY: LOCKED}

    def slots(self) -> List[Slot]:
        found = self.locked(self.geometry.at("input"))
        for layer in range(self.geometry.layers):
            found += self.layer_slots(layer) + self.locked(self.geometry.above(layer), layers=layer)
        return found

    def locked(self, at: str, **where: int) -> List[Slot]:
        """The one draw, (1, B, F), of a part of a site."""
        site = self.job.acting(at)
        return [] if site is None else slots_of(site, TIME_FIRST, **where)

    def layer_slots(self, layer: int) -> List[Slot]:
        """What a layer draws itself."""
        return []

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        dtype = next(iter(weights.values())).dtype
        layers = torch.nn.ModuleList()
        for layer in range(self.geometry.layers):
            lstm = torch.nn.LSTM(self.geometry.width(layer), self.geometry.units, dtype=dtype)
            load(lstm, self, self.geometry.prefix(layer), "_l0", weights)
            layers.append(lstm)
        return layers.train(self.job.train)

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer, lstm in enumerate(built):
            found.update(layer_leaves(lstm, self, self.geometry.prefix(layer), "_l0"))
        return found

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        torch = torch_module()
        train = self.job.train
        y = locked_dropout(x.transpose(0, 1).contiguous(), self.rate("input"), train)
        last_h, last_c = [], []
        for layer, lstm in enumerate(built):
            start = (state[0][layer : layer + 1].contiguous(), state[1][layer : layer + 1].contiguous())
            y, (h, c) = self.layer(lstm, y, start)
            y = locked_dropout(y, rate_of(self.job, self.geometry.above(layer)), train)
            last_h.append(h)
            last_c.append(c)
        return y.transpose(0, 1), torch.cat(last_h), torch.cat(last_c)

    def native_states(self, built: Any, x: Any, state: State) -> Tuple[Any, ...]:
        y = x.transpose(0, 1).contiguous()
        last: List[Any] = []
        for layer, lstm in enumerate(built):
            start = (state[0][layer : layer + 1].contiguous(), state[1][layer : layer + 1].contiguous())
            y, found = self.layer(lstm, y, start)
            last.append(found)
        return tuple(torch_module().cat(states) for states in zip(*last))

    def layer(self, lstm: Any, x: Any, state: State) -> Any:
        """Call one layer."""
        return lstm(x, state)
