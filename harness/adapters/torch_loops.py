"""LSTM loops over the steps, as people write them to get dropout where `torch.nn.LSTM` has none: inside the recurrence.

Masks are drawn when a step first needs them and kept for the steps (and layers) that share them. Order of the draws:
layer by layer, in each step by step, in each the input, h, c, then what is emitted.
"""

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, SiteSpec, Unsupported
from harness.adapters.torch_arrays import torch_module
from harness.adapters.torch_base import Leaf, drawing, same
from harness.adapters.torch_compile import maybe_compiled
from harness.adapters.torch_sequence import Stack, State, layer_leaves, load
from harness.tape import BERNOULLI, NORMAL, Slot

#: Where in a site's canonical array one mask lies.
Place = Tuple[Any, ...]


class Masks(object):
    """The masks of one run, by their place in the site's canonical array."""

    def __init__(self, job: Job) -> None:
        # Not the job itself: torch.compile would look at its arrays.
        self.sites = {site.at: site for site in job.sites} if job.train else {}
        self.drawn: Dict[Tuple[str, str], Any] = {}

    def times(self, at: str, layer: int, step: int, tensor: Any) -> Any:
        """The tensor times the site's mask at this layer and step; with an axis for the gates in front if it has one."""
        site = self.sites.get(at)
        if site is None or site.rate == 0.0:
            return tensor
        place = place_of(site, layer, step)
        key = (at, str(place))
        if key not in self.drawn:
            self.drawn[key] = draw_mask(site, part_shape(site, place), tensor)
        return tensor * self.drawn[key]


def draw_mask(site: SiteSpec, shape: Tuple[int, ...], like: Any) -> Any:
    """Draw one multiplier: keep / (1 - rate), all zero at rate 1; or 1 + sqrt(rate / (1 - rate)) n."""
    torch = torch_module()
    if site.noise == "gaussian":
        return 1.0 + (site.rate / (1.0 - site.rate)) ** 0.5 * torch.randn(shape, dtype=like.dtype)
    return torch.nn.functional.dropout(torch.ones(shape, dtype=like.dtype), site.rate, training=True)


def place_of(site: SiteSpec, layer: int, step: int) -> Place:
    """Index of a layer's and step's mask in the site's canonical array; an axis of size 1 has one for all."""
    place: List[Any] = []
    for axis, size in zip(site.axes, site.shape):
        if axis == "layers":
            place.append(layer if size > 1 else 0)
        elif axis == "time":
            place.append(step if size > 1 else 0)
        elif axis == "gates" and size == 1:
            place.append(0)
        else:
            place.append(slice(None))
    return tuple(place)


def part_shape(site: SiteSpec, place: Place) -> Tuple[int, ...]:
    """The shape of the mask at a place: (gates,) batch, features."""
    return tuple(size for size, index in zip(site.shape, place) if isinstance(index, slice))


class LoopStack(Stack):
    """A stack run step by step; subclasses give the step."""

    sites = ("input", "state.h", "state.c", "output", "between_layers")
    defaults = {"compile": False}
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "forget_bias")

    def around(self, layer: int) -> Iterator[str]:
        """The sites that a step of a layer passes, in order."""
        if layer == 0:
            yield self.at("input")
        yield self.at("state.h")
        yield self.at("state.c")
        yield self.emitted(layer)

    def emitted(self, layer: int) -> str:
        """The site of what a layer gives upward."""
        return self.at("between_layers" if layer < self.layers - 1 else "output")

    def slots(self) -> List[Slot]:
        found: List[Slot] = []
        known = set()
        for layer in range(self.layers):
            for index, t in enumerate(self.order):
                for at in self.around(layer):
                    site = drawing(self.job, at)
                    if site is None:
                        continue
                    place = place_of(site, layer, index if at == self.emitted(layer) else t)
                    if (at, str(place)) in known:
                        continue
                    known.add((at, str(place)))
                    kind = NORMAL if site.noise == "gaussian" else BERNOULLI
                    found.append(Slot(at, kind, part_shape(site, place), tuple(site.shape), place))
        return found

    @property
    def leaving(self) -> bool:
        """Whether the state's masks act on what leaves a step rather than on what enters it."""
        return bool(self.config.get("drop_leaving_state"))

    @property
    def order(self) -> Sequence[int]:
        """The positions in the order of reading."""
        return range(self.time)[::-1] if self.config.get("go_backwards") else range(self.time)

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
                entering = steps[t] if layer else masks.times(self.at("input"), layer, t, steps[t])
                if self.leaving:
                    new_h, new_c = self.step(built, layer, entering, h, c)
                else:
                    h = masks.times(self.at("state.h"), layer, t, h)
                    c = masks.times(self.at("state.c"), layer, t, c)
                    new_h, new_c = self.step(built, layer, entering, h, c)
                h, c = new_h, new_c
                if self.leaving:
                    h = masks.times(self.at("state.h"), layer, t, h)
                    c = masks.times(self.at("state.c"), layer, t, c)
                emitted.append(masks.times(self.emitted(layer), layer, index, new_h))
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

    def check(self) -> None:
        super(CellStack, self).check()
        for site in self.own_sites():
            gates: Optional[int] = dict(zip(site.axes, site.shape)).get("gates")
            if gates not in (None, 1):
                raise Unsupported(
                    "torch.nn.LSTMCell reads one %s for all gates; the case asks for one mask a gate" % site.at
                )

    def build(self, weights: Dict[str, Any]) -> Any:
        torch = torch_module()
        dtype = next(iter(weights.values())).dtype
        cells = torch.nn.ModuleList()
        for layer in range(self.layers):
            cell = torch.nn.LSTMCell(self.width(layer), self.units, dtype=dtype)
            load(cell, self, self.prefixes(layer)[0], "", weights)
            cells.append(cell)
        return cells

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer, cell in enumerate(built):
            found.update(layer_leaves(cell, self, self.prefixes(layer)[0], ""))
        return found

    def native_states(self, built: Any, x: Any, state: State) -> Tuple[Any, ...]:
        steps = list(x.unbind(1))
        last: List[Any] = []
        for layer, cell in enumerate(built):
            found = (state[0][layer], state[1][layer])
            for t, entering in enumerate(steps):
                found = cell(entering, found)
                steps[t] = found[0]
            last.append(found)
        return tuple(torch_module().stack(states) for states in zip(*last))

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
        "forget_bias",
        "peepholes",
        "cell_clip",
        "projection",
        "projection_clip",
        "recurrent_activation",
        "go_backwards",
        "drop_leaving_state",
    )

    def build(self, weights: Dict[str, Any]) -> Any:
        for tensor in weights.values():
            tensor.requires_grad_(True)
        return weights

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        return {name: (tensor, same) for name, tensor in built.items() if name.startswith(self.weight_prefix)}

    def step(self, built: Any, layer: int, x: Any, h: Any, c: Any) -> Tuple[Any, Any]:
        torch = torch_module()
        config = self.config
        prefix = self.prefixes(layer)[0]
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
