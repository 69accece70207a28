"""Names, axes and shapes of an LSTM stack for its reference: weights, states and dropout sites, as the geometry has them.

Sites and the axes of their masks: harness.frameworks.contract.geometry. The gates' order is i, f, g, o. An axis named in `shared`
has size 1: `shared: [time, gates]` at state.h is one mask a sequence for all gates; `shared: [inputs]` at weight.recurrent cuts
all connections into one gate of one unit, `shared: [gates, units]` all that come from one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import did_you_mean
from harness.frameworks.contract.geometry import Form, Geometry, stacks_of
from harness.layers._lstm_cell import GATES, PEEPHOLES, STATES, CellOptions
from harness.layers._sites import resolve
from harness.layers.base import DropoutSpec, Refused
from harness.records import Site

SITES = ("input", "state.h", "state.c", "output", "between_layers", "weight.recurrent")


FORM = Form("".join(gate.letter for gate in GATES), STATES)


@dataclass(frozen=True, slots=True)
class StackOptions:
    """A stack of equal cells. go_backwards: one direction, last step first. leaving: the state's masks act on what leaves."""

    cell: CellOptions
    layers: int = 1
    bidirectional: bool = False
    go_backwards: bool = False
    padding: str | None = None
    leaving: bool = False

    def odd(self, options: Mapping[str, Any]) -> StackOptions:
        """The stack with further options of its cells."""
        return dataclasses.replace(self, cell=dataclasses.replace(self.cell, **options))

    def geometry(self, sequence: Sequence[int] = (1, 1, 1)) -> Geometry:
        """The stack over a sequence (B, T, D)."""
        config = {
            "layers": self.layers,
            "bidirectional": self.bidirectional,
            "go_backwards": self.go_backwards,
            "units": self.cell.units,
            "projection": self.cell.projection,
        }
        return stacks_of(FORM, config, {"x": sequence})[0]


def weight_shapes(options: StackOptions, features: int) -> dict[str, tuple[int, ...]]:
    """Shapes by name: kernel (I, 4H), recurrent_kernel (P, 4H), bias (4H,) of every layer; I is D below, y's width above.

    With their options also peephole_i, peephole_f and peephole_o (H,) and projection (H, P).
    """
    shapes: dict[str, tuple[int, ...]] = {}
    cell, stack = options.cell, options.geometry((1, 1, features))
    for layer in range(options.layers):
        for prefix in stack.prefixes(layer):
            shapes[f"{prefix}kernel"] = (stack.width(layer), 4 * cell.units)
            shapes[f"{prefix}recurrent_kernel"] = (cell.outputs, 4 * cell.units)
            shapes[f"{prefix}bias"] = (4 * cell.units,)
            if cell.peepholes:
                shapes |= {prefix + name: (cell.units,) for name in PEEPHOLES}
            if cell.projection:
                shapes[f"{prefix}projection"] = (cell.units, cell.projection)
    return shapes


def state_shapes(options: StackOptions, batch: int) -> dict[str, tuple[int, ...]]:
    """Shapes of h (…, B, P) and c (…, B, H), with leading axes `layers` and `directions` where there are several."""
    stack = options.geometry((batch, 1, 1))
    return {name: stack.state_shape(name) for name in stack.states}


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
        axes = options.geometry(sequences[prefix]).full(at)
        site = resolve(spec, index, tuple(axes), tuple(axes.values()))
        if options.leaving and at == "state.h" and "gates" not in site.shared:
            message = "a state dropped as it leaves a step has one mask for all gates: add `gates` to `shared`"
            raise Refused(("dropout", index, "shared"), message)
        sites.append(site)
    return tuple(sites)
