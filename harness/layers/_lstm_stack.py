"""A stack of LSTM layers with dropout sites: names, shapes, masks, forward and backward.

Sites and the axes of their masks (L layers, B batch, T time, D input features, H units; the last axis is `features`):

    input           (gates 4, batch B, time T, features D)      multiplies x_t on its way into the first layer
    state.h         (gates 4, batch B, time T, features H)      multiplies h_{t-1} on its way into step t
    state.c         (batch B, time T, features H)               multiplies c_{t-1} on its way into step t
    output          (batch B, time T, features H)               multiplies the emitted y alone; the state stays as it is
    between_layers  (layers L - 1, batch B, time T, features H) multiplies each lower layer's outputs on their way up

With several layers, state.h and state.c have a first axis `layers` of size L. The gates' order is i, f, g, o; an axis
named in `shared` has size 1, so `shared: [time, gates]` is one mask a sequence for all gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.errors import did_you_mean
from harness.layers._arithmetic import Arithmetic, Array, float64
from harness.layers._lstm_core import LayerRun, Masks
from harness.layers._sites import active_multiplier, resolve
from harness.layers.base import DropoutSpec, Refused
from harness.records import Arrays, Site

SITES = ("input", "state.h", "state.c", "output", "between_layers")
WEIGHTS = ("kernel", "recurrent_kernel", "bias")


def weight_prefix(layer: int, layers: int) -> str:
    """`layer0.` in a stack, nothing where there is one layer."""
    return f"layer{layer}." if layers > 1 else ""


def weight_shapes(units: int, layers: int, features: int) -> dict[str, tuple[int, ...]]:
    """Shapes by name: kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H,) of every layer; I is D below, H above."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        prefix = weight_prefix(layer, layers)
        shapes[f"{prefix}kernel"] = (units if layer else features, 4 * units)
        shapes[f"{prefix}recurrent_kernel"] = (units, 4 * units)
        shapes[f"{prefix}bias"] = (4 * units,)
    return shapes


def state_shape(units: int, layers: int, batch: int) -> tuple[int, ...]:
    """(B, H) for one layer, (L, B, H) for several."""
    return (layers, batch, units) if layers > 1 else (batch, units)


def check_sequence(name: str, shape: Sequence[int]) -> None:
    """Raise Refused unless `shape` is (B, T, D) with T and D at least 1 (an empty batch is allowed)."""
    if len(shape) != 3:
        raise Refused(("inputs", name), f"{name} must be (batch, time, features), not shape {tuple(shape)}")
    if shape[1] < 1 or shape[2] < 1:
        raise Refused(("inputs", name), f"{name} needs at least one step and one feature, not shape {tuple(shape)}")


def check_state(name: str, shape: Sequence[int], expected: tuple[int, ...]) -> None:
    """Raise Refused unless an initial state has the expected shape."""
    if tuple(shape) != expected:
        layout = "(layers, batch, units)" if len(expected) == 3 else "(batch, units)"
        raise Refused(("inputs", name), f"{name} must be {layout} = {expected}, not {tuple(shape)}")


def resolve_sites(
    dropout: Sequence[DropoutSpec], units: int, layers: int, sequences: Mapping[str, Sequence[int]]
) -> tuple[Site, ...]:
    """Resolve a `dropout` list. `sequences`: (B, T, D) by the prefix of the site's name ("", or "encoder." …)."""
    known = [prefix + site for prefix in sequences for site in SITES]
    sites: list[Site] = []
    for index, spec in enumerate(dropout):
        prefix = next((word for word in sequences if word and spec.at.startswith(word)), "")
        if spec.at not in known:
            hint = did_you_mean(spec.at, known)
            raise Refused(("dropout", index, "at"), f"no site {spec.at!r} here{hint}; there are: {', '.join(known)}")
        if any(site.at == spec.at for site in sites):
            raise Refused(("dropout", index, "at"), f"site {spec.at!r} is listed twice")
        if spec.at == f"{prefix}between_layers" and layers == 1:
            raise Refused(("dropout", index, "at"), "one layer has nothing between: set `layers` to 2 or more")
        axes, shape = _full(spec.at.removeprefix(prefix), tuple(sequences[prefix]), units, layers)
        sites.append(resolve(spec, index, axes, shape))
    return tuple(sites)


def _full(at: str, sequence: tuple[int, ...], units: int, layers: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The axes of a site and the shape of a mask that is shared over none of them."""
    batch, time, features = sequence
    words: tuple[str, ...] = ("batch", "time", "features")
    sizes: tuple[int, ...] = (batch, time, units)
    if at == "output":
        return words, sizes
    if at == "between_layers":
        return ("layers", *words), (layers - 1, *sizes)
    if at == "input":
        return ("gates", *words), (4, batch, time, features)
    if at == "state.h":
        words, sizes = ("gates", *words), (4, *sizes)
    return (("layers", *words), (layers, *sizes)) if layers > 1 else (words, sizes)


class StackRun:
    """A pass of x (B, T, D) through the layers. h0, c0 (L, B, H); weights under the names of `weight_shapes`.

    y (B, T, H) emitted by the last layer; h, c (L, B, H) last states; traces in `trace`.
    """

    def __init__(
        self,
        x: Array,
        h0: Array,
        c0: Array,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        arithmetic: Arithmetic,
        prefix: str = "",
    ) -> None:
        self.arithmetic = arithmetic
        self.runs: list[LayerRun] = []
        layers = h0.shape[0]
        masks = _StackMasks(sites, draws, train, arithmetic, prefix, x.shape, layers, h0.shape[2])
        self.emitted = masks.emitted
        for layer in range(layers):
            key = weight_prefix(layer, layers)
            kernel, recurrent, bias = (float64(weights[key + name]) for name in WEIGHTS)
            run = LayerRun(x, h0[layer], c0[layer], (kernel, recurrent, bias), masks.layers[layer], arithmetic)
            self.runs.append(run)
            x = arithmetic.times(run.h, self.emitted[layer])
        self.y = x
        self.h = np.stack([run.h[:, -1] for run in self.runs])
        self.c = np.stack([run.c[:, -1] for run in self.runs])

    @property
    def trace(self) -> Arrays:
        """h, c (L, B, T, H) at every step, before any output mask; gates (L, 4, B, T, H), activated, i, f, g, o."""
        return {
            "h": np.stack([run.h for run in self.runs]),
            "c": np.stack([run.c for run in self.runs]),
            "gates": np.stack([run.gates for run in self.runs]),
        }

    def backward(self, dy: Array, dh: Array, dc: Array) -> Arrays:
        """Gradients for dy (B, T, H), dh and dc (L, B, H): `x`, `h0`, `c0` (L, B, H) and every weight by its name."""
        gradients: Arrays = {}
        dh0: list[Array] = []
        dc0: list[Array] = []
        upper = dy
        for layer in reversed(range(len(self.runs))):
            back = self.runs[layer].backward(self.arithmetic.times(upper, self.emitted[layer]), dh[layer], dc[layer])
            key = weight_prefix(layer, len(self.runs))
            gradients |= {key + name: getattr(back, name) for name in WEIGHTS}
            dh0.insert(0, back.h0)
            dc0.insert(0, back.c0)
            upper = back.x
        return gradients | {"x": upper, "h0": np.stack(dh0), "c0": np.stack(dc0)}


class _StackMasks:
    """Every layer's multipliers, from the sites and their draws.

    layers   what each layer multiplies inside.
    emitted  what multiplies each layer's outputs: `between_layers` for all but the last, `output` for the last.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        train: bool,
        arithmetic: Arithmetic,
        prefix: str,
        sequence: Sequence[int],
        layers: int,
        units: int,
    ) -> None:
        by_name = {site.at: site for site in sites}
        batch, time, features = sequence

        def mask(at: str) -> Array | None:
            return arithmetic.mask(active_multiplier(by_name.get(prefix + at), draws, train))

        def per_layer(at: str, *full: int) -> list[Array | None]:
            """One mask a layer, broadcast to `full`; a gate axis keeps the size it has."""
            value = mask(at)
            if value is None:
                return [None] * layers
            if layers == 1:
                value = value[None]
            head = value.shape[1:2] if at == "state.h" else ()
            return list(np.broadcast_to(value, (layers, *head, *full)))

        inputs = mask("input")
        if inputs is not None:
            inputs = np.broadcast_to(inputs, (inputs.shape[0], batch, time, features))
        h = per_layer("state.h", batch, time, units)
        c = per_layer("state.c", batch, time, units)
        self.layers = [Masks(None if n else inputs, h[n], c[n]) for n in range(layers)]
        between = mask("between_layers")
        upward: list[Array | None] = [None] * (layers - 1)
        if between is not None:
            upward = list(np.broadcast_to(between, (layers - 1, batch, time, units)))
        self.emitted: list[Array | None] = [*upward, mask("output")]
