"""Names, axes and shapes of an LSTM stack: its weights, its states and its dropout sites.

Sites and the axes of their masks (L layers, B batch, T time, D input features, H units, P outputs: H without a projection):

    input             (gates 4, batch B, time T, features D)      multiplies x_t on its way into the first layer
    state.h           (gates 4, batch B, time T, features P)      multiplies h on its way into step t
    state.c           (batch B, time T, features H)               multiplies c on its way into step t
    output            (batch B, time T, features P)               multiplies the emitted y alone; the state stays as it is
    between_layers    (layers L - 1, batch B, time T, features P) multiplies each lower layer's outputs on their way up
    weight.recurrent  (inputs P, gates 4, units H)                multiplies the recurrent kernel, once for the whole call:
                      `inputs` is the h that a connection comes from, `units` and `gates` where it goes

Time is the position in the sequence, whichever way it is read. state.h, state.c and weight.recurrent have a first axis
`layers` in a stack, and these and `input` then an axis `directions` (forward, backward) in a bidirectional one, where the
last axis of `output` and `between_layers` is 2P wide. The gates' order is i, f, g, o. An axis named in `shared` has size 1:
`shared: [time, gates]` at state.h is one mask a sequence for all gates; `shared: [inputs]` at weight.recurrent cuts all
connections into one gate of one unit, `shared: [gates, units]` all that come from one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import did_you_mean
from harness.layers._lstm_cell import PEEPHOLES, CellOptions
from harness.layers._sites import resolve
from harness.layers.base import DropoutSpec, Refused
from harness.records import Site

SITES = ("input", "state.h", "state.c", "output", "between_layers", "weight.recurrent")
DIRECTIONS = ("forward.", "backward.")


@dataclass(frozen=True, slots=True)
class StackOptions:
    """A stack of equal cells. go_backwards: one direction, last step first. leaving: the state's masks act on what leaves."""

    cell: CellOptions
    layers: int = 1
    bidirectional: bool = False
    go_backwards: bool = False
    padding: str | None = None
    leaving: bool = False

    @property
    def directions(self) -> int:
        """2 where it is bidirectional."""
        return 2 if self.bidirectional else 1

    @property
    def emitted(self) -> int:
        """The width of y: both directions' outputs side by side."""
        return self.directions * self.cell.outputs

    def prefixes(self, layer: int) -> tuple[str, ...]:
        """The prefix of a layer's weights for each direction: `layer0.`, `forward.`, `layer0.forward.`, or nothing."""
        above = f"layer{layer}." if self.layers > 1 else ""
        return tuple(above + direction for direction in DIRECTIONS) if self.bidirectional else (above,)


def weight_shapes(options: StackOptions, features: int) -> dict[str, tuple[int, ...]]:
    """Shapes by name: kernel (I, 4H), recurrent_kernel (P, 4H), bias (4H,) of every layer; I is D below, y's width above.

    With their options also peephole_i, peephole_f and peephole_o (H,) and projection (H, P).
    """
    shapes: dict[str, tuple[int, ...]] = {}
    cell = options.cell
    for layer in range(options.layers):
        for prefix in options.prefixes(layer):
            shapes[f"{prefix}kernel"] = (options.emitted if layer else features, 4 * cell.units)
            shapes[f"{prefix}recurrent_kernel"] = (cell.outputs, 4 * cell.units)
            shapes[f"{prefix}bias"] = (4 * cell.units,)
            if cell.peepholes:
                shapes |= {prefix + name: (cell.units,) for name in PEEPHOLES}
            if cell.projection:
                shapes[f"{prefix}projection"] = (cell.units, cell.projection)
    return shapes


def state_shapes(options: StackOptions, batch: int) -> dict[str, tuple[int, ...]]:
    """Shapes of h (…, B, P) and c (…, B, H), with leading axes `layers` and `directions` where there are several."""
    leading = ((options.layers,) if options.layers > 1 else ()) + ((2,) if options.bidirectional else ())
    return {"h": (*leading, batch, options.cell.outputs), "c": (*leading, batch, options.cell.units)}


def check_sequence(name: str, shape: Sequence[int]) -> None:
    """Raise Refused unless `shape` is (B, T, D) with T and D at least 1 (an empty batch is allowed)."""
    if len(shape) != 3:
        raise Refused(("inputs", name), f"{name} must be (batch, time, features), not shape {tuple(shape)}")
    if shape[1] < 1 or shape[2] < 1:
        raise Refused(("inputs", name), f"{name} needs at least one step and one feature, not shape {tuple(shape)}")


def check_states(options: StackOptions, inputs: Mapping[str, Sequence[int]], batch: int) -> None:
    """Raise Refused unless the initial states h0 and c0, where given, have the state's shapes."""
    words = (("layers",) if options.layers > 1 else ()) + (("directions",) if options.bidirectional else ())
    layout = ", ".join((*words, "batch", "units"))
    for name, expected in state_shapes(options, batch).items():
        start = f"{name}0"
        if start in inputs and tuple(inputs[start]) != expected:
            raise Refused(("inputs", start), f"{start} must be ({layout}) = {expected}, not {tuple(inputs[start])}")


def resolve_sites(
    dropout: Sequence[DropoutSpec], options: StackOptions, sequences: Mapping[str, Sequence[int]]
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
        at = spec.at.removeprefix(prefix)
        if at == "between_layers" and options.layers == 1:
            raise Refused(("dropout", index, "at"), "one layer has nothing between: set `layers` to 2 or more")
        site = resolve(spec, index, *_full(at, tuple(sequences[prefix]), options))
        if options.leaving and at == "state.h" and "gates" not in site.shared:
            message = "a state dropped as it leaves a step has one mask for all gates: add `gates` to `shared`"
            raise Refused(("dropout", index, "shared"), message)
        sites.append(site)
    return tuple(sites)


def _full(at: str, sequence: tuple[int, ...], options: StackOptions) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The axes of a site and the shape of a mask that is shared over none of them."""
    batch, time, features = sequence
    cell, emitted = options.cell, (batch, time, options.emitted)
    words = ("batch", "time", "features")
    if at == "output":
        return words, emitted
    if at == "between_layers":
        return ("layers", *words), (options.layers - 1, *emitted)
    directions = {"directions": 2} if options.bidirectional else {}
    layers = {"layers": options.layers} if options.layers > 1 and at != "input" else {}
    own = {
        "input": {"gates": 4, "batch": batch, "time": time, "features": features},
        "state.h": {"gates": 4, "batch": batch, "time": time, "features": cell.outputs},
        "state.c": {"batch": batch, "time": time, "features": cell.units},
        "weight.recurrent": {"inputs": cell.outputs, "gates": 4, "units": cell.units},
    }[at]
    axes = layers | directions | own
    return tuple(axes), tuple(axes.values())
