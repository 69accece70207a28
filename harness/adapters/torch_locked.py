"""LockedDropout: one mask for all steps of a sequence, (1, B, F) on sequence-first (T, B, F) arrays.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 3 ("variational
dropout"), after Gal & Ghahramani 2016 (arXiv 1512.05287). The recipe as it is written: Bernoulli draws, divided by the keep
probability. At rate 1 that is 0/0, and its outputs are NaN.
"""

from typing import Any, Dict, List, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, SiteSpec, implementation
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import Leaf, TorchAdapter, rate_of, require_shared
from harness.adapters.torch_sequence import Stack, State, layer_leaves, load
from harness.tape import BERNOULLI, Slot


def locked_dropout(x: Any, rate: float, train: bool) -> Any:
    """Apply LockedDropout to a sequence-first x, (T, B, F)."""
    if not train or not rate:
        return x
    mask = x.new_empty((1, x.size(1), x.size(2))).bernoulli_(1.0 - rate) / (1.0 - rate)
    return x * mask


def locked_slot(site: SiteSpec, place: Tuple[Any, ...] = ()) -> Slot:
    """The one draw, (1, B, F), of a (B, 1, F) part of a site."""
    batch, _, features = site.shape[-3:]
    return Slot(site.at, BERNOULLI, (1, batch, features), tuple(site.shape), place, (1, 0, 2))


@implementation("recipe.LockedDropout", ["torch"], "dropout", needs=["torch"], recipe=True)
class LockedDropout(TorchAdapter):
    """On x (B, T, F), read as (T, B, F)."""

    sites = ("input",)

    def check(self, job: Job) -> None:
        super(LockedDropout, self).check(job)
        for site in job.sites:
            require_shared(site, [("time",)], "LockedDropout")

    def slots(self, job: Job) -> List[Slot]:
        site = job.site("input")
        return [locked_slot(site)] if site is not None and job.train and site.rate else []

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        x = inputs["x"].transpose(0, 1)
        return {"y": locked_dropout(x, rate_of(job, "input"), job.train).transpose(0, 1)}


class LockedStack(Stack):
    """One `torch.nn.LSTM` a layer, so that LockedDropout can act before, between and after them."""

    sites: Tuple[str, ...] = ("input", "output", "between_layers")
    settings = (*PLAIN_SETTINGS, "forget_bias")

    def check(self) -> None:
        super(LockedStack, self).check()
        for site in self.own_sites():
            self.check_shared(site)

    def check_shared(self, site: SiteSpec) -> None:
        """Raise Unsupported for a mask that is not locked."""
        axes = ("gates", "time") if site.at == self.at("input") else ("time",)
        require_shared(site, [axes], "LockedDropout")

    def slots(self) -> List[Slot]:
        if not self.job.train:
            return []
        found: List[Slot] = []
        sites = {site.at: site for site in self.own_sites() if site.rate}
        if self.at("input") in sites:
            found.append(locked_slot(sites[self.at("input")], (0,)))
        if self.at("between_layers") in sites:
            between = sites[self.at("between_layers")]
            found.extend(locked_slot(between, (layer,)) for layer in range(self.layers - 1))
        if self.at("output") in sites:
            found.append(locked_slot(sites[self.at("output")]))
        return found

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        dtype = next(iter(weights.values())).dtype
        layers = torch.nn.ModuleList()
        for layer in range(self.layers):
            lstm = torch.nn.LSTM(self.width(layer), self.units, dtype=dtype)
            load(lstm, self, self.prefixes(layer)[0], "_l0", weights)
            layers.append(lstm)
        return layers.train(self.job.train)

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer, lstm in enumerate(built):
            found.update(layer_leaves(lstm, self, self.prefixes(layer)[0], "_l0"))
        return found

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        torch = torch_module()
        train = self.job.train
        y = locked_dropout(x.transpose(0, 1).contiguous(), rate_of(self.job, self.at("input")), train)
        last_h, last_c = [], []
        for layer, lstm in enumerate(built):
            start = (state[0][layer : layer + 1].contiguous(), state[1][layer : layer + 1].contiguous())
            y, (h, c) = self.layer(lstm, y, start)
            above = "between_layers" if layer < self.layers - 1 else "output"
            y = locked_dropout(y, rate_of(self.job, self.at(above)), train)
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
