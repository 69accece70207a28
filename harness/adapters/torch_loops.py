"""LSTM loops over the steps, as people write them to get dropout where `torch.nn.LSTM` has none: inside the recurrence.

Masks are drawn when a step first needs them and kept for the steps (and layers) that share them. Order of the draws:
layer by layer, in each step by step, in each the input, h, c, then what is emitted.
"""

from typing import Any, Dict, Iterator, List, Optional, Tuple

from harness.adapters.base import Job, SiteSpec, Unsupported
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
        self.job = job
        self.drawn: Dict[Tuple[str, str], Any] = {}

    def times(self, at: str, layer: int, step: int, tensor: Any) -> Any:
        """The tensor times the site's mask at this layer and step; with an axis for the gates in front if it has one."""
        site = self.job.site(at)
        if site is None or not self.job.train or site.rate == 0.0:
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
            for step in range(self.time):
                for at in self.around(layer):
                    site = drawing(self.job, at)
                    if site is None:
                        continue
                    place = place_of(site, layer, step)
                    if (at, str(place)) in known:
                        continue
                    known.add((at, str(place)))
                    kind = NORMAL if site.noise == "gaussian" else BERNOULLI
                    found.append(Slot(at, kind, part_shape(site, place), tuple(site.shape), place))
        return found

    def run(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        def loop(x: Any, h: Any, c: Any) -> Tuple[Any, Any, Any]:
            return self._loop(built, x, (h, c))

        found: Tuple[Any, Any, Any] = maybe_compiled(loop, self.options)(x, *state)
        return found

    def _loop(self, built: Any, x: Any, state: State) -> Tuple[Any, Any, Any]:
        """The loop itself; compiled, its steps are unrolled into one graph."""
        torch = torch_module()
        masks = Masks(self.job)
        last_h, last_c = [], []
        steps = list(x.unbind(1))
        for layer in range(self.layers):
            h, c = state[0][layer], state[1][layer]
            emitted = []
            for t, entering in enumerate(steps):
                if layer == 0:
                    entering = masks.times(self.at("input"), layer, t, entering)
                h_in = masks.times(self.at("state.h"), layer, t, h)
                c_in = masks.times(self.at("state.c"), layer, t, c)
                h, c = self.step(built, layer, entering, h_in, c_in)
                emitted.append(masks.times(self.emitted(layer), layer, t, h))
            steps = emitted
            last_h.append(h)
            last_c.append(c)
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
            features = self.units if layer else self.features
            cell = torch.nn.LSTMCell(features, self.units, dtype=dtype)
            load(cell, (layer, ""), self, weights)
            cells.append(cell)
        return cells

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for layer, cell in enumerate(built):
            found.update(layer_leaves(cell, (layer, ""), self))
        return found

    def step(self, built: Any, layer: int, x: Any, h: Any, c: Any) -> Tuple[Any, Any]:
        found: Tuple[Any, Any] = built[layer](x, (h, c))
        return found


class FormulaStack(LoopStack):
    """The LSTM equations written out with torch's operators: the only one with a mask for each gate.

    z = x W + h U + b; i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o); c' = f c + i g; h' = o tanh(c').
    """

    def build(self, weights: Dict[str, Any]) -> Any:
        for tensor in weights.values():
            tensor.requires_grad_(True)
        return weights

    def leaves(self, built: Any) -> Dict[str, Leaf]:
        return {name: (tensor, same) for name, tensor in built.items() if name.startswith(self.weight_prefix)}

    def step(self, built: Any, layer: int, x: Any, h: Any, c: Any) -> Tuple[Any, Any]:
        torch = torch_module()
        kernel, recurrent, bias = (built[self.weight(layer, name)] for name in ("kernel", "recurrent_kernel", "bias"))
        z = product(x, kernel) + product(h, recurrent) + bias
        i, f, g, o = z.chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


def product(entering: Any, kernel: Any) -> Any:
    """Multiply (B, I) by (I, 4H); or (4, B, I), one input a gate, each by its own block of columns."""
    if entering.dim() == 2:
        return entering @ kernel
    blocks = [part @ block for part, block in zip(entering.unbind(0), kernel.chunk(4, dim=-1))]
    return torch_module().cat(blocks, dim=-1)
