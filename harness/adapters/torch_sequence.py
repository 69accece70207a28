"""Stacks of LSTM layers in torch, as the `lstm` and `encoder_decoder` adapters drive them.

A stack translates weights, says which draws it makes, and runs one sequence. Canonical arrays are batch-major, (B, T, D),
gates i, f, g, o as in torch; torch keeps kernels as (4H, I), the transpose, and two biases: the canonical one is b_ih,
with b_hh = 0. (Training both would move the sum twice as fast: the gradient reported is that of b_ih.)
"""

import copy
from typing import Any, Dict, List, Tuple

from harness.adapters.base import Job, SiteSpec
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import Leaf, drawing, rate_of, require_shared, same, transposed
from harness.adapters.torch_compile import allow_rnn, backend_of, maybe_compiled
from harness.tape import BERNOULLI, Slot

#: States are (L, B, H) between stacks, whatever the number of layers.
State = Tuple[Any, Any]


class Stack(object):
    """One stack of LSTM layers of a job. `prefix` is "" or, in an encoder-decoder, "encoder." or "decoder."."""

    #: sites that this stack can express, without their prefix.
    sites: Tuple[str, ...] = ()
    #: options that it understands, with their defaults.
    defaults: Dict[str, Any] = {}

    def __init__(self, job: Job, sequence: str, prefix: str = "", options: Any = None) -> None:
        self.job = job
        self.prefix = prefix
        # Tied halves share one set of weights, named as those of one LSTM.
        self.weight_prefix = "" if job.config.get("tied") else prefix
        self.options = dict(self.defaults, **(options or {}))
        self.layers = int(job.config.get("layers", 1))
        self.units = int(job.config["units"])
        self.batch, self.time, self.features = job.inputs[sequence].shape

    def weight(self, layer: int, name: str) -> str:
        """The canonical name of a weight: `kernel`, or `layer1.kernel` in a stack."""
        return self.weight_prefix + ("layer%d." % layer if self.layers > 1 else "") + name

    def at(self, site: str) -> str:
        """A site's name in the job."""
        return self.prefix + site

    def own_sites(self) -> List[SiteSpec]:
        """The job's sites in this stack."""
        return [site for site in self.job.sites if site.at in [self.at(name) for name in self.sites]]

    def check(self) -> None:
        """Raise Unsupported for a mask shared over other axes than this stack's, and for impossible options."""
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

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        """Run x (B, T, D) from a state; returns y (B, T, H) and the last h and c (L, B, H)."""
        raise NotImplementedError

    def zero_state(self, like: Any) -> State:
        """The zero state: h and c, (L, B, H)."""
        zeros = like.new_zeros((self.layers, self.batch, self.units))
        return zeros, zeros


def load(module: Any, layer: Any, stack: Stack, weights: Dict[str, Any]) -> None:
    """Copy one layer's canonical weights into `weight_ih_l0` … (nn.LSTM) or `weight_ih` … (nn.LSTMCell)."""
    torch = torch_module()
    index, suffix = layer
    with torch.no_grad():
        getattr(module, "weight_ih" + suffix).copy_(weights[stack.weight(index, "kernel")].t())
        getattr(module, "weight_hh" + suffix).copy_(weights[stack.weight(index, "recurrent_kernel")].t())
        getattr(module, "bias_ih" + suffix).copy_(weights[stack.weight(index, "bias")])
        getattr(module, "bias_hh" + suffix).zero_()


def layer_leaves(module: Any, layer: Any, stack: Stack) -> Dict[str, Leaf]:
    """One layer's native parameters by their canonical names."""
    index, suffix = layer
    return {
        stack.weight(index, "kernel"): (getattr(module, "weight_ih" + suffix), transposed),
        stack.weight(index, "recurrent_kernel"): (getattr(module, "weight_hh" + suffix), transposed),
        stack.weight(index, "bias"): (getattr(module, "bias_ih" + suffix), same),
    }


class NativeStack(Stack):
    """`torch.nn.LSTM`, with nn.Dropout on its input and on its output, which it does not have itself.

    Option `batch_first`: torch then reads (B, T, D), but its dropout between layers is drawn in (T, B, H) all the same.
    Option `compile`: torch.compile leaves nn.LSTM out of its graph and runs it eagerly, unless `allow_rnn` (a setting of
    torch._dynamo) is true; then the graph holds the layers as torch._decomp writes them.
    """

    sites = ("input", "output", "between_layers")
    defaults = {"batch_first": False, "compile": False, "allow_rnn": False}

    @property
    def batch_first(self) -> bool:
        return bool(self.options.get("batch_first", False))

    def check(self) -> None:
        super(NativeStack, self).check()
        for site in self.own_sites():
            axes = ("gates",) if site.at == self.at("input") else ()
            require_shared(site, [axes], "torch.nn.Dropout")

    def slots(self) -> List[Slot]:
        found: List[Slot] = []
        site = drawing(self.job, self.at("input"))
        if site is not None:
            found.append(self._slot(site, (0,), self.batch_first))
        site = drawing(self.job, self.at("between_layers"))
        if site is not None:
            found.extend(self._slot(site, (layer,), False) for layer in range(self.layers - 1))
        site = drawing(self.job, self.at("output"))
        if site is not None:
            found.append(self._slot(site, (), self.batch_first))
        return found

    def _slot(self, site: SiteSpec, place: Tuple[Any, ...], batch_first: bool) -> Slot:
        """The draw of a (B, T, F) part of a site, in the layout that torch has there."""
        batch, time, features = site.shape[-3:]
        if batch_first:
            return Slot(site.at, BERNOULLI, (batch, time, features), tuple(site.shape), place)
        return Slot(site.at, BERNOULLI, (time, batch, features), tuple(site.shape), place, (1, 0, 2))

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        between = rate_of(self.job, self.at("between_layers"))
        lstm = torch.nn.LSTM(
            self.features,
            self.units,
            num_layers=self.layers,
            dropout=between,
            batch_first=self.batch_first,
            dtype=next(iter(weights.values())).dtype,
        )
        for layer in range(self.layers):
            load(lstm, (layer, "_l%d" % layer), self, weights)
        return self._with_dropout(lstm)

    def share(self, built: Any, other: Stack) -> Any:
        assert isinstance(other, NativeStack)
        # A shallow copy holds the same parameters; only the rate between its layers is its own.
        lstm = copy.copy(built[1])
        lstm.dropout = rate_of(self.job, other.at("between_layers"))
        return other._with_dropout(lstm)

    def _with_dropout(self, lstm: Any) -> Any:
        """The LSTM between a Dropout for its input and one for its output."""
        torch = torch_module()
        before = torch.nn.Dropout(rate_of(self.job, self.at("input")))
        after = torch.nn.Dropout(rate_of(self.job, self.at("output")))
        return torch.nn.ModuleList([before, lstm, after]).train(self.job.train)

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer in range(self.layers):
            found.update(layer_leaves(built[1], (layer, "_l%d" % layer), self))
        return found

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        before, lstm, after = built
        native = x if self.batch_first else x.transpose(0, 1).contiguous()
        y, (h, c) = self._call(lstm, before(native), (state[0].contiguous(), state[1].contiguous()))
        y = after(y)
        return (y if self.batch_first else y.transpose(0, 1)), h, c

    def _call(self, lstm: Any, x: Any, state: State) -> Any:
        """Call nn.LSTM, compiled if the options say so."""
        if not backend_of(self.options):
            return lstm(x, state)
        whole = bool(self.options["allow_rnn"])
        with allow_rnn(whole):
            return maybe_compiled(lstm, self.options, whole)(x, state)
