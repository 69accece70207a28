"""WeightDrop: the recurrent weights of `torch.nn.LSTM` dropped once a call, so one mask for all steps and all examples.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 2, after
DropConnect (Wan et al. 2013). The published module keeps the raw weight beside the layer and writes a dropped one in its
place before each call. Its mask on weight_hh (4H, H) follows from what the case shares:

    shared: []              (4H, H), every connection on its own                      (`variational=False`)
    shared: [inputs]        (4H, 1), all connections into one gate of one unit        (`variational=True`)
    shared: [gates, units]  (1, H), all connections from one unit                     (not in the published code)

Is the (4H, 1) mask dropout of h? With the option `as_state` WeightDrop stands for the site `state.h`, so that the reference
answers: `columns` draws (1, H), which is one mask on h for all gates, steps and examples (Gal & Ghahramani's tied weights);
`rows` draws (4H, 1) and says that it were one mask on h for each gate, which it is not.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from harness.adapters.base import Job, SiteSpec, Unsupported
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import require_shared
from harness.adapters.torch_locked import LockedStack
from harness.adapters.torch_native_lstm import NativeStack
from harness.adapters.torch_sequence import Stack, State, suffixes
from harness.adapters.torch_tap import untapped
from harness.tape import BERNOULLI, Slot

SITE = "weight.recurrent"

#: The sets of axes that one mask may be shared over.
SHARED = ((), ("inputs",), ("gates", "units"))
STATE = "state.h"
AS_STATE: Dict[str, Sequence[Sequence[str]]] = {
    "columns": [("gates", "batch", "time")],
    "rows": [("batch", "time"), ("gates", "batch", "time")],
}

#: Options of WeightDrop.
#: wrap: how the dropped weight is put in place. `tensor`: as it is, so that autograd reaches the raw weight. `parameter`:
#: in a new nn.Parameter, as the module is often written since nn.Module refuses a tensor where a parameter was: the raw
#: weight gets no gradient. `parametrize`: torch.nn.utils.parametrize, cached during a call.
#: always: drop in evaluation too, as the published variational code does (it passes training=True).
#: as_state: `columns` or `rows`: stand for dropout at state.h; see above. Of WeightDrop alone.
DEFAULTS: Dict[str, Any] = {"wrap": "tensor", "always": False, "as_state": ""}
OF_WEIGHTS = {name: value for name, value in DEFAULTS.items() if name != "as_state"}


class WeightDrop(object):
    """Drops recurrent weights of an nn.LSTM at one site; without a site it leaves them alone."""

    def __init__(self, job: Job, site: Optional[SiteSpec], options: Dict[str, Any]) -> None:
        self.site = site
        self.wrap = options["wrap"]
        self.as_state = options.get("as_state", "")
        self.always = bool(options["always"])
        self.train = job.train or self.always

    def check(self) -> None:
        """Raise Unsupported for masks that WeightDrop has not."""
        if self.site is not None and self.as_state:
            require_shared(self.site, AS_STATE[self.as_state], "WeightDrop as state.h")
        elif self.site is not None:
            require_shared(self.site, SHARED, "WeightDrop")
            if self.always and "inputs" not in self.site.shared:
                raise Unsupported("only the variational WeightDrop (shared: [inputs]) drops in evaluation")

    def slots(self, *places: Tuple[int, ...]) -> List[Slot]:
        """The draws of one call, one for each weight, by its place in the site's canonical array."""
        site = self.site
        if site is None or not self.train or site.rate in (0.0, 1.0):
            return []
        if self.as_state:
            gates, units = (4 if self.as_state == "rows" else 1), site.shape[-1]
            shape = (gates * units, 1) if self.as_state == "rows" else (1, units)
            canonical = (*site.shape[:-4], gates, 1, 1, units)
            return [Slot(site.at, BERNOULLI, shape, canonical, place) for place in places]
        # canonical (P, 4, H); native rows are (gate, unit), columns the h that a connection comes from
        shape = mask_shape(site)
        return [Slot(site.at, BERNOULLI, shape, tuple(site.shape), place, (1, 2, 0)) for place in places]

    def install(self, lstm: Any, names: List[str]) -> None:
        """Put the raw weights beside the layer, or parametrise it."""
        if self.site is None:
            return
        if self.wrap == "parametrize":
            parametrize = torch_module().nn.utils.parametrize
            # Registering a parametrisation calls it once, to see whether shapes fit.
            with untapped():
                for name in names:
                    parametrize.register_parametrization(lstm, name, _as_module(self.dropped))
            return
        for name in names:
            raw = getattr(lstm, name)
            del lstm._parameters[name]
            lstm.register_parameter(name + "_raw", raw)
            setattr(lstm, name, raw.detach())

    def call(self, lstm: Any, names: List[str], run: Callable[[], Any]) -> Any:
        """Call `run` with the layer's weights dropped."""
        torch = torch_module()
        if self.site is None:
            return run()
        if self.wrap == "parametrize":
            with torch.nn.utils.parametrize.cached():
                return run()
        for name in names:
            weight = self.dropped(getattr(lstm, name + "_raw"))
            setattr(lstm, name, torch.nn.Parameter(weight) if self.wrap == "parameter" else weight)
        return run()

    def dropped(self, raw: Any) -> Any:
        """The raw weight times its mask."""
        site, dropout = self.site, torch_module().nn.functional.dropout
        assert site is not None
        if not site.shared:
            return dropout(raw, site.rate, training=self.train)
        if self.as_state:
            shape = (raw.shape[0], 1) if self.as_state == "rows" else (1, raw.shape[1])
        else:
            shape = mask_shape(site)
        mask = dropout(raw.new_ones(shape), site.rate, training=self.train)
        return mask.expand_as(raw) * raw

    def parameter(self, lstm: Any, name: str) -> Any:
        """The layer's parameter of that name; of a dropped weight the raw one."""
        if self.site is None or not name.startswith("weight_hh"):
            return getattr(lstm, name)
        return lstm.parametrizations[name].original if self.wrap == "parametrize" else getattr(lstm, name + "_raw")


def mask_shape(site: SiteSpec) -> Tuple[int, int]:
    """The mask on weight_hh: (4H or 1, P or 1)."""
    inputs, gates, units = site.shape[-3:]
    return gates * units, inputs


def _as_module(function: Callable[[Any], Any]) -> Any:
    """A function as the module that a parametrisation has to be."""
    torch = torch_module()

    class Dropped(torch.nn.Module):  # type: ignore[misc, name-defined]
        """W to mask * W."""

        def forward(self, raw: Any) -> Any:
            return function(raw)

    return Dropped()


def own_place(stack: Stack, layer: int, direction: int) -> Tuple[int, ...]:
    """Where a layer's and direction's weight lies in the site's canonical array."""
    return ((layer,) if stack.layers > 1 else ()) + ((direction,) if stack.directions == 2 else ())


class WeightDropStack(NativeStack):
    """WeightDrop around one nn.LSTM with all its layers."""

    sites = (*NativeStack.sites, SITE, STATE)
    defaults = {"batch_first": False, **DEFAULTS}

    def __init__(self, job: Job, sequence: str, prefix: str = "", options: Any = None) -> None:
        super(WeightDropStack, self).__init__(job, sequence, prefix, options)
        self.dropped_at = self.at(STATE if self.options["as_state"] else SITE)
        self.drop = WeightDrop(job, job.site(self.dropped_at), self.options)

    @property
    def names(self) -> List[str]:
        """Torch's names of the recurrent weights, in order."""
        return ["weight_hh" + suffix for layer in range(self.layers) for suffix in suffixes(layer, self.directions)]

    def check(self) -> None:
        super(WeightDropStack, self).check()
        self.drop.check()
        if self.options["as_state"] and self.outputs != self.units:
            raise Unsupported("with a projection rows and columns of weight_hh are of different kinds")

    def check_shared(self, site: SiteSpec) -> None:
        if site.at in (self.at(SITE), self.at(STATE)):
            if site.at != self.dropped_at:
                raise Unsupported("drops at %s" % self.dropped_at)
            return
        super(WeightDropStack, self).check_shared(site)

    def slots(self) -> List[Slot]:
        found = super(WeightDropStack, self).slots()
        # The weights are dropped when the LSTM is called: after its input was.
        before = sum(slot.site == self.at("input") for slot in found)
        directions = range(self.directions)
        places = [own_place(self, layer, direction) for layer in range(self.layers) for direction in directions]
        return found[:before] + self.drop.slots(*places) + found[before:]

    def build(self, weights: Dict[str, Any]) -> Any:
        built = super(WeightDropStack, self).build(weights)
        self.drop.install(built[1], self.names)
        return built

    def parameter(self, module: Any, name: str) -> Any:
        return self.drop.parameter(module, name)

    def _call(self, lstm: Any, x: Any, state: State) -> Any:
        return self.drop.call(lstm, self.names, lambda: lstm(x, state))


class AwdStack(LockedStack):
    """The recurrent part of AWD-LSTM: WeightDrop around each layer, LockedDropout before, between and after them."""

    sites = (*LockedStack.sites, SITE)
    defaults = OF_WEIGHTS

    def __init__(self, job: Job, sequence: str, prefix: str = "", options: Any = None) -> None:
        super(AwdStack, self).__init__(job, sequence, prefix, options)
        self.drop = WeightDrop(job, job.site(self.at(SITE)), self.options)

    def check(self) -> None:
        super(AwdStack, self).check()
        self.drop.check()

    def check_shared(self, site: SiteSpec) -> None:
        if site.at != self.at(SITE):
            super(AwdStack, self).check_shared(site)

    def slots(self) -> List[Slot]:
        # LockedStack gives: the input, then what each layer but the last emits, then the output.
        emitted = super(AwdStack, self).slots()
        found = [slot for slot in emitted if slot.site == self.at("input")]
        for layer in range(self.layers):
            found += self.drop.slots(own_place(self, layer, 0))
            above, place = (self.at("between_layers"), (layer,)) if layer < self.layers - 1 else (self.at("output"), ())
            found += [slot for slot in emitted if slot.site == above and slot.place == place]
        return found

    def build(self, weights: Dict[str, Any]) -> Any:
        built = super(AwdStack, self).build(weights)
        for lstm in built:
            self.drop.install(lstm, ["weight_hh_l0"])
        return built

    def parameter(self, module: Any, name: str) -> Any:
        return self.drop.parameter(module, name)

    def layer(self, lstm: Any, x: Any, state: State) -> Any:
        return self.drop.call(lstm, ["weight_hh_l0"], lambda: lstm(x, state))
