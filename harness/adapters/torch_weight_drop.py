"""WeightDrop: the recurrent weights of `torch.nn.LSTM` dropped once a call, so one mask for all steps and all examples.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 2, after DropConnect
(Wan et al. 2013). The published module keeps the raw weight beside the layer and writes a dropped one in its place before
each call. Its mask on weight_hh (4H, H) follows from what the case shares:

    shared: []              (4H, H), every connection on its own                      (`variational=False`)
    shared: [inputs]        (4H, 1), all connections into one gate of one unit        (`variational=True`)
    shared: [gates, units]  (1, H), all connections from one unit, as a mask on h     (Gal & Ghahramani's tied weights)
"""

from typing import Any, Dict, List, Tuple

from harness.adapters.base import SiteSpec, Unsupported
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import rate_of, require_shared
from harness.adapters.torch_locked import LockedStack
from harness.adapters.torch_native_lstm import NativeStack
from harness.adapters.torch_sequence import Stack, State, suffixes
from harness.tape import BERNOULLI, Slot

SITE = "weight.recurrent"
SHARED = ((), ("inputs",), ("gates", "units"))

#: Options of WeightDrop.
#: wrap: how the dropped weight is put in place. `tensor`: as it is, so that autograd reaches the raw weight. `parameter`: in a
#: new nn.Parameter, as the module is often written since torch 1.1 refuses tensors there: the raw weight gets no gradient.
#: `parametrize`: torch.nn.utils.parametrize, cached during a call.
#: always: drop in evaluation too, as the published variational code does (it passes training=True).
DEFAULTS = {"wrap": "tensor", "always": False}
WRAPS = ("tensor", "parameter", "parametrize")


def check(stack: Stack) -> None:
    """Raise Unsupported for masks that WeightDrop has not, and for unknown ways to wrap."""
    if stack.options["wrap"] not in WRAPS:
        raise Unsupported("no wrap %r; there are: %s" % (stack.options["wrap"], ", ".join(WRAPS)))
    for site in stack.own_sites():
        if site.at == stack.at(SITE):
            require_shared(site, SHARED, "WeightDrop")
            if stack.options["always"] and "inputs" not in site.shared:
                raise Unsupported("only the variational WeightDrop (shared: [inputs]) drops in evaluation")


def active(stack: Stack) -> bool:
    """Whether a call draws weight masks: as nn.functional.dropout, not at rates 0 and 1."""
    rate = rate_of(stack.job, stack.at(SITE))
    return rate not in (0.0, 1.0) and (stack.job.train or bool(stack.options["always"]))


def slots(stack: Stack, layer: int) -> List[Slot]:
    """The draws for one layer's recurrent weights, one a direction."""
    site = stack.job.site(stack.at(SITE))
    if site is None or not active(stack):
        return []
    found = []
    for direction in range(stack.directions):
        place = ((layer,) if stack.layers > 1 else ()) + ((direction,) if stack.directions == 2 else ())
        # canonical (P, 4, H); native rows are (gate, unit), columns the h that a connection comes from
        found.append(Slot(site.at, BERNOULLI, mask_shape(site), tuple(site.shape), place, (1, 2, 0)))
    return found


def mask_shape(site: SiteSpec) -> Tuple[int, int]:
    """The mask on weight_hh: (4H or 1, P or 1)."""
    inputs, gates, units = site.shape[-3:]
    return gates * units, inputs


def install(stack: Stack, lstm: Any, names: List[str]) -> None:
    """Give the LSTM its raw weights, and parametrise it if that is the way to wrap."""
    torch = torch_module()
    site = stack.job.site(stack.at(SITE))
    if site is None:
        return
    if stack.options["wrap"] == "parametrize":
        from harness.adapters.torch_tap import untapped

        # Registering a parametrisation calls it once, to see whether shapes fit.
        with untapped():
            for name in names:
                torch.nn.utils.parametrize.register_parametrization(lstm, name, _dropped_module(stack, site))
        return
    for name in names:
        raw = getattr(lstm, name)
        del lstm._parameters[name]
        lstm.register_parameter(name + "_raw", raw)
        setattr(lstm, name, raw.detach())


def call(stack: Stack, lstm: Any, names: List[str], run: Any) -> Any:
    """Call `run` with the LSTM's weights dropped."""
    torch = torch_module()
    site = stack.job.site(stack.at(SITE))
    if site is None:
        return run()
    if stack.options["wrap"] == "parametrize":
        with torch.nn.utils.parametrize.cached():
            return run()
    for name in names:
        weight = dropped(getattr(lstm, name + "_raw"), stack, site)
        setattr(lstm, name, torch.nn.Parameter(weight) if stack.options["wrap"] == "parameter" else weight)
    return run()


def dropped(raw: Any, stack: Stack, site: SiteSpec) -> Any:
    """The raw weight times its mask."""
    torch = torch_module()
    train = stack.job.train or bool(stack.options["always"])
    if not site.shared:
        return torch.nn.functional.dropout(raw, site.rate, training=train)
    mask = torch.nn.functional.dropout(raw.new_ones(mask_shape(site)), site.rate, training=train)
    return mask.expand_as(raw) * raw


def raw_parameter(stack: Stack, lstm: Any, name: str) -> Any:
    """The parameter of that name; of a recurrent weight the raw one."""
    if stack.job.site(stack.at(SITE)) is None or not name.startswith("weight_hh"):
        return getattr(lstm, name)
    if stack.options["wrap"] == "parametrize":
        return lstm.parametrizations[name].original
    return getattr(lstm, name + "_raw")


def _dropped_module(stack: Stack, site: SiteSpec) -> Any:
    """A parametrisation that drops."""
    torch = torch_module()

    class Dropped(torch.nn.Module):  # type: ignore[misc, name-defined]
        """W to mask * W."""

        def forward(self, raw: Any) -> Any:
            return dropped(raw, stack, site)

    return Dropped()


class WeightDropStack(NativeStack):
    """WeightDrop around one nn.LSTM with all its layers."""

    sites = (*NativeStack.sites, SITE)
    defaults = {"batch_first": False, **DEFAULTS}

    def names(self, layer: int) -> List[str]:
        """Torch's names of a layer's recurrent weights."""
        return ["weight_hh" + suffix for suffix in suffixes(layer, self.directions)]

    @property
    def all_names(self) -> List[str]:
        """Those of all layers, in order."""
        return [name for layer in range(self.layers) for name in self.names(layer)]

    def check(self) -> None:
        super(WeightDropStack, self).check()
        check(self)

    def check_shared(self, site: SiteSpec) -> None:
        if site.at != self.at(SITE):
            super(WeightDropStack, self).check_shared(site)

    def slots(self) -> List[Slot]:
        found = super(WeightDropStack, self).slots()
        # The weights are dropped when the LSTM is called: after its input was.
        before = sum(slot.site == self.at("input") for slot in found)
        weights = [slot for layer in range(self.layers) for slot in slots(self, layer)]
        return found[:before] + weights + found[before:]

    def build(self, weights: Dict[str, Any]) -> Any:
        built = super(WeightDropStack, self).build(weights)
        install(self, built[1], self.all_names)
        return built

    def share(self, built: Any, other: Stack) -> Any:
        raise NotImplementedError

    def parameter(self, module: Any, name: str) -> Any:
        return raw_parameter(self, module, name)

    def _call(self, lstm: Any, x: Any, state: State) -> Any:
        return call(self, lstm, self.all_names, lambda: lstm(x, state))


class AwdStack(LockedStack):
    """The recurrent part of AWD-LSTM: WeightDrop around each layer, LockedDropout before, between and after them."""

    sites = (*LockedStack.sites, SITE)
    defaults = DEFAULTS

    def check(self) -> None:
        super(AwdStack, self).check()
        check(self)

    def check_shared(self, site: SiteSpec) -> None:
        if site.at != self.at(SITE):
            super(AwdStack, self).check_shared(site)

    def slots(self) -> List[Slot]:
        # LockedStack gives: the input, then what each layer but the last emits, then the output.
        emitted = super(AwdStack, self).slots()
        found = [slot for slot in emitted if slot.site == self.at("input")]
        for layer in range(self.layers):
            found += slots(self, layer)
            above, place = (self.at("between_layers"), (layer,)) if layer < self.layers - 1 else (self.at("output"), ())
            found += [slot for slot in emitted if slot.site == above and slot.place == place]
        return found

    def build(self, weights: Dict[str, Any]) -> Any:
        built = super(AwdStack, self).build(weights)
        for lstm in built:
            install(self, lstm, ["weight_hh_l0"])
        return built

    def parameter(self, module: Any, name: str) -> Any:
        return raw_parameter(self, module, name)

    def layer(self, lstm: Any, x: Any, state: State) -> Any:
        return call(self, lstm, ["weight_hh_l0"], lambda: lstm(x, state))
