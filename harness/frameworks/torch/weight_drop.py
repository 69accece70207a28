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

from typing import Any, Callable, Dict, List, Optional, Tuple

from harness.frameworks.contract.adapter import Job, Unsupported
from harness.frameworks.contract.capabilities import OWN, Shared, sharing
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.contract.places import drawn_as, slots_of
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.locked import LockedStack
from harness.frameworks.torch.native_lstm import NativeStack
from harness.frameworks.torch.sequence import State, suffix
from harness.frameworks.torch.tap import untapped
from harness.noises import Site
from harness.tape import Slot

SITE = "weight.recurrent"

#: The sets of axes that one mask may be shared over.
SHARED = (OWN, Shared(("inputs",)), Shared(("gates", "units")))
STATE = "state.h"
AS_STATE = {"columns": (Shared(("gates", "batch", "time")),), "rows": (Shared(("batch", "time"), ("gates",)),)}

#: Options of WeightDrop.
#: wrap: how the dropped weight is put in place. `tensor`: as it is, so that autograd reaches the raw weight. `parameter`:
#: in a new nn.Parameter, as the module is often written since nn.Module refuses a tensor where a parameter was: the raw
#: weight gets no gradient. `parametrize`: torch.nn.utils.parametrize, cached during a call.
#: always: drop in evaluation too, as the published variational code does (it passes training=True).
#: as_state: `columns` or `rows`: stand for dropout at state.h; see above. Of WeightDrop alone.
DEFAULTS: Dict[str, Any] = {"wrap": "tensor", "always": False, "as_state": ""}
OF_WEIGHTS = {name: value for name, value in DEFAULTS.items() if name != "as_state"}


class WeightDrop:
    """Drops recurrent weights of an nn.LSTM at one site; without a site it leaves them alone."""

    def __init__(self, job: Job, site: Optional[Site], options: Dict[str, Any]) -> None:
        self.site = site
        self.wrap = options["wrap"]
        self.as_state = options.get("as_state", "")
        self.always = bool(options["always"])
        self.train = job.train or self.always

    def check(self) -> None:
        """Raise Unsupported for masks that WeightDrop has not."""
        if self.site is None:
            return
        why = sharing(self.site, AS_STATE[self.as_state]) if self.as_state else None
        if why is not None:
            raise Unsupported("with as_state %s: %s" % (self.as_state, why))
        if self.always and not self.as_state and "inputs" not in self.site.shared:
            raise Unsupported("only the variational WeightDrop (shared: [inputs]) drops in evaluation")

    def slots(self, *places: Tuple[int, int]) -> List[Slot]:
        """The draws of one call, one for each weight, by its layer and direction."""
        site = self.site
        if site is None or not self.train or not site.active:
            return []
        axes = ("gates", "units", "inputs")
        if self.as_state:
            site = drawn_as(site, gates=4 if self.as_state == "rows" else 1, batch=1, time=1)
            axes = ("gates", "features", "batch") if self.as_state == "rows" else ("batch", "gates", "features")
        # Native rows are (gate, unit), columns the h that a connection comes from.
        found = [slot for layer, way in places for slot in slots_of(site, axes, layers=layer, directions=way)]
        return [slot._replace(shape=self.shape(site)) for slot in found]

    def shape(self, site: Site) -> Tuple[int, int]:
        """The mask on weight_hh: (4H or 1, P or 1)."""
        sizes = dict(zip(site.axes, site.full if self.as_state else site.shape))
        if self.as_state:
            return (4 * sizes["features"], 1) if self.as_state == "rows" else (1, sizes["features"])
        return sizes["gates"] * sizes["units"], sizes["inputs"]

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
        mask = dropout(raw.new_ones(self.shape(site)), site.rate, training=self.train)
        return mask.expand_as(raw) * raw


def raw_parameter(lstm: Any, name: str) -> Any:
    """A layer's parameter of that name; of a dropped weight the raw one."""
    if torch_module().nn.utils.parametrize.is_parametrized(lstm, name):
        return lstm.parametrizations[name].original
    return getattr(lstm, name + "_raw" if hasattr(lstm, name + "_raw") else name)


def _as_module(function: Callable[[Any], Any]) -> Any:
    """A function as the module that a parametrisation has to be."""
    torch = torch_module()

    class Dropped(torch.nn.Module):  # type: ignore[misc, name-defined]
        """W to mask * W."""

        def forward(self, raw: Any) -> Any:
            return function(raw)

    return Dropped()


class WeightDropStack(NativeStack):
    """WeightDrop around one nn.LSTM with all its layers."""

    sites = (*NativeStack.sites, SITE, STATE)
    options = {"batch_first": False, **DEFAULTS}
    shared = {**NativeStack.shared, SITE: SHARED, STATE: AS_STATE["rows"]}

    def __init__(self, job: Job, geometry: Geometry) -> None:
        super().__init__(job, geometry)
        self.dropped_at = geometry.at(STATE if self.options["as_state"] else SITE)
        self.drop = WeightDrop(job, job.site(self.dropped_at), self.options)

    @property
    def names(self) -> List[str]:
        """Torch's names of the recurrent weights, in order."""
        return ["weight_hh" + suffix(*place) for place in self.geometry.places()]

    def check(self) -> None:
        super().check()
        for at in (self.geometry.at(SITE), self.geometry.at(STATE)):
            if at != self.dropped_at and self.job.site(at) is not None:
                raise Unsupported("drops at %s" % self.dropped_at)
        self.drop.check()
        if self.options["as_state"] and self.geometry.outputs != self.geometry.units:
            raise Unsupported("with a projection rows and columns of weight_hh are of different kinds")

    def slots(self) -> List[Slot]:
        found = super().slots()
        # The weights are dropped when the LSTM is called: after its input was.
        before = len(self.drawing("input"))
        return found[:before] + self.drop.slots(*self.geometry.places()) + found[before:]

    def build(self, weights: Dict[str, Any]) -> Any:
        built = super().build(weights)
        self.drop.install(built[1], self.names)
        return built

    def parameter(self, module: Any, name: str) -> Any:
        return raw_parameter(module, name)

    def _call(self, lstm: Any, x: Any, state: State) -> Any:
        return self.drop.call(lstm, self.names, lambda: lstm(x, state))


class AwdStack(LockedStack):
    """The recurrent part of AWD-LSTM: WeightDrop around each layer, LockedDropout before, between and after them."""

    sites = (*LockedStack.sites, SITE)
    options = OF_WEIGHTS
    shared = {**LockedStack.shared, SITE: SHARED}

    def __init__(self, job: Job, geometry: Geometry) -> None:
        super().__init__(job, geometry)
        numbers = range(geometry.layers)
        self.drops = [WeightDrop(job, job.site(geometry.at(SITE, layer)), self.options) for layer in numbers]

    def check(self) -> None:
        super().check()
        for drop in self.drops:
            drop.check()

    def layer_slots(self, layer: int) -> List[Slot]:
        return self.drops[layer].slots((layer, 0))

    def build(self, weights: Dict[str, Any]) -> Any:
        built = super().build(weights)
        for drop, lstm in zip(self.drops, built):
            drop.install(lstm, ["weight_hh_l0"])
        return built

    def parameter(self, module: Any, name: str) -> Any:
        return raw_parameter(module, name)

    def layer(self, number: int, lstm: Any, x: Any, state: State) -> Any:
        return self.drops[number].call(lstm, ["weight_hh_l0"], lambda: lstm(x, state))
