"""LSTM loops over the steps, as people write them to get dropout where `torch.nn.LSTM` has none: inside the recurrence.

Masks are drawn when a step first needs them and kept for the steps (and layers) that share them. Order of the draws:
layer by layer, in each step by step, in each the input, h, c, then what is emitted.
"""

import itertools
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, Unsupported
from harness.frameworks.contract.capabilities import ANY, FORMULA_SETTINGS, Shared
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.contract.places import Place, part_shape, part_slots, place_of
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Leaf, drawing, same
from harness.frameworks.torch.compile import maybe_compiled
from harness.frameworks.torch.sequence import Stack, State, layer_leaves, load
from harness.noises import Site
from harness.tape import NORMAL, Slot


class Masks:
    """The masks of one run, by their place in the site's canonical array."""

    def __init__(self, job: Job) -> None:
        # Places are found here, and the job is not kept: torch.compile would look at all that a step does.
        self.drawn: Dict[Tuple[str, str], Any] = {}
        self.parts: Dict[Tuple[str, int, int], Tuple[str, Tuple[int, ...], Site]] = {}
        layers, steps = (range(max(sizes)) for sizes in zip(*((stack.layers, stack.time) for stack in job.stacks)))
        for site in job.sites if job.train else ():
            for layer, step in itertools.product(layers, steps) if not site.silent else ():
                place = step_place(site, layer, step)
                self.parts[site.at, layer, step] = (str(place), part_shape(site, place), site)

    def times(self, at: str, layer: int, step: int, tensor: Any) -> Any:
        """The tensor times the site's mask at this layer and step; with an axis for the gates in front if it has one."""
        if (at, layer, step) not in self.parts:
            return tensor
        place, shape, site = self.parts[at, layer, step]
        if (at, place) not in self.drawn:
            self.drawn[at, place] = draw_mask(site, shape, tensor)
        return tensor * self.drawn[at, place]


def draw_mask(site: Site, shape: Tuple[int, ...], like: Any) -> Any:
    """Draw one multiplier: keep / (1 - rate), all zero at rate 1; or 1 + sqrt(rate / (1 - rate)) n."""
    torch = torch_module()
    if NORMAL in site.draws:
        return 1.0 + site.spread * torch.randn(shape, dtype=like.dtype)
    return torch.nn.functional.dropout(torch.ones(shape, dtype=like.dtype), site.rate, training=True)


def step_place(site: Site, layer: int, step: int) -> Place:
    """Where the mask of a layer's step lies; one that serves all gates has no axis for them."""
    shared = {"gates": 0} if dict(zip(site.axes, site.shape)).get("gates") == 1 else {}
    return place_of(site, layers=layer, time=step, **shared)


def slots_by_step(wanted: Iterable[Tuple[Optional[Site], int, int]]) -> List[Slot]:
    """The draws of (site, layer, step) one after another; what several of them share is drawn for the first one."""
    found: Dict[Tuple[str, str], List[Slot]] = {}
    for site, layer, step in wanted:
        if site is not None:
            place = step_place(site, layer, step)
            found.setdefault((site.at, str(place)), part_slots(site, place))
    return [slot for slots in found.values() for slot in slots]


class LoopStack(Stack):
    """A stack run step by step; subclasses give the step."""

    sites = ("input", "state.h", "state.c", "output", "between_layers")
    options = {"compile": False}
    noises = ("bernoulli", "gaussian")
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "forget_bias")

    def __init__(self, job: Job, geometry: Geometry) -> None:
        super().__init__(job, geometry)
        # Plain values, for what torch.compile sees of a run.
        self.layers, self.order = geometry.layers, geometry.order()
        self.input, self.h, self.c = (geometry.at(name) for name in ("input", "state.h", "state.c"))
        self.above = [geometry.above(layer) for layer in range(geometry.layers)]
        self.prefixes = [geometry.prefix(layer) for layer in range(geometry.layers)]
        #: whether the state's masks act on what leaves a step rather than on what enters it.
        self.leaving = bool(self.config.get("drop_leaving_state"))

    def slots(self) -> List[Slot]:
        return slots_by_step(
            (drawing(self.job, at), layer, index if at == self.above[layer] else t)
            for layer in range(self.layers)
            for index, t in enumerate(self.order)
            for at in ((self.input,) if layer == 0 else ()) + (self.h, self.c, self.above[layer])
        )

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        masks = Masks(self.job)

        def loop(x: Any, h: Any, c: Any) -> Tuple[Any, Any, Any]:
            return self._loop(built, masks, x, (h, c))

        found: Tuple[Any, Any, Any] = maybe_compiled(loop, self.options)(x, *state)
        return found

    def _loop(self, built: Any, masks: Masks, x: Any, state: State) -> Tuple[Any, Any, Any]:
        """The loop itself; compiled, its steps are unrolled into one graph."""
        torch = torch_module()
        last_h, last_c = [], []
        steps = list(x.unbind(1))
        for layer in range(self.layers):
            h, c = state[0][layer], state[1][layer]
            emitted: List[Any] = []
            for index, t in enumerate(self.order):
                entering = steps[t] if layer else masks.times(self.input, layer, t, steps[t])
                if not self.leaving:
                    h, c = masks.times(self.h, layer, t, h), masks.times(self.c, layer, t, c)
                new_h, c = self.step(built, layer, entering, h, c)
                h = new_h
                if self.leaving:
                    h, c = masks.times(self.h, layer, t, h), masks.times(self.c, layer, t, c)
                emitted.append(masks.times(self.above[layer], layer, index, new_h))
            steps = emitted
            last_h.append(h)
            last_c.append(c)
        # What is read from the end stays in the order of reading, and so does its mask.
        return torch.stack(steps, 1), torch.stack(last_h), torch.stack(last_c)

    def step(self, built: Any, layer: int, x: Any, h: Any, c: Any) -> Tuple[Any, Any]:
        """One step of one layer: the new h and c, (B, H)."""
        raise NotImplementedError


class CellStack(LoopStack):
    """A loop over `torch.nn.LSTMCell`, which takes one input and one h for all gates."""

    shared = {at: (Shared(("gates",), ANY),) for at in ("input", "state.h")}
    because = {"shared": "torch.nn.LSTMCell reads one x and one h for all gates"}

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        dtype = next(iter(weights.values())).dtype
        cells = torch.nn.ModuleList()
        for layer in range(self.layers):
            cell = torch.nn.LSTMCell(self.geometry.width(layer), self.geometry.units, dtype=dtype)
            load(cell, self, self.prefixes[layer], "", weights)
            cells.append(cell)
        return cells

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer, cell in enumerate(built):
            found.update(layer_leaves(cell, self, self.prefixes[layer], ""))
        return found

    def step(self, built: Any, layer: int, x: Any, h: Any, c: Any) -> Tuple[Any, Any]:
        found: Tuple[Any, Any] = built[layer](x, (h, c))
        return found


class FormulaStack(LoopStack):
    """The LSTM equations written out with torch's operators: the only one with a mask for each gate, and with the options
    of other frameworks' cells (harness.layers._lstm_cell has the equations and the papers).

    z = x W + h U + b; i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o); c' = f c + i g; h' = o tanh(c').
    """

    settings = (
        *PLAIN_SETTINGS,
        *FORMULA_SETTINGS,
        "go_backwards",
        "drop_leaving_state",
    )

    def build(self, weights: Dict[str, Any]) -> Any:
        for tensor in weights.values():
            tensor.requires_grad_(True)
        return weights

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        return {name: (tensor, same) for name, tensor in built.items() if name.startswith(self.geometry.weights)}

    def step(self, built: Any, layer: int, x: Any, h: Any, c: Any) -> Tuple[Any, Any]:
        torch = torch_module()
        config = self.config
        prefix = self.prefixes[layer]
        z = product(x, built[prefix + "kernel"]) + product(h, built[prefix + "recurrent_kernel"])
        i, f, g, o = (z + built[prefix + "bias"]).chunk(4, dim=-1)
        if config.get("forget_bias"):
            f = f + config["forget_bias"]
        if config.get("peepholes"):
            i = i + built[prefix + "peephole_i"] * c
            f = f + built[prefix + "peephole_f"] * c
        gate = activation(config.get("recurrent_activation"))
        c = clipped(gate(f) * c + gate(i) * torch.tanh(g), config.get("cell_clip"))
        if config.get("peepholes"):
            o = o + built[prefix + "peephole_o"] * c
        h = gate(o) * torch.tanh(c)
        if config.get("projection"):
            h = clipped(h @ built[prefix + "projection"], config.get("projection_clip"))
        return h, c


def activation(name: Optional[str]) -> Callable[[Any], Any]:
    """The gates' activation by its name in the layer kind; None is the sigmoid."""
    torch = torch_module()
    if name is None:
        return torch.sigmoid  # type: ignore[no-any-return]
    if name == "hard_sigmoid":
        # Not torch.nn.functional.hardsigmoid: its gradient is a float32 1/6 for float64 tensors too (5e-9 off, torch 2.13).
        return lambda z: (z / 6.0 + 0.5).clamp(0.0, 1.0)
    if name == "hard_sigmoid_keras2":
        return lambda z: (0.2 * z + 0.5).clamp(0.0, 1.0)
    raise Unsupported("has no activation %r" % name)


def clipped(value: Any, limit: Optional[float]) -> Any:
    """The value within [-limit, limit]."""
    return value if limit is None else value.clamp(-limit, limit)


def product(entering: Any, kernel: Any, gates: int = 4) -> Any:
    """Multiply (B, I) by (I, G H); or (G, B, I), one input a gate, each by its own block of columns."""
    if entering.dim() == 2:
        return entering @ kernel
    blocks = [part @ block for part, block in zip(entering.unbind(0), kernel.chunk(gates, dim=-1))]
    return torch_module().cat(blocks, dim=-1)
