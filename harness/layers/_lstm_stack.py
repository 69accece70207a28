"""A stack of LSTM layers, in one direction or two, forward and backward. Names and shapes: harness.layers._lstm_names.

A bidirectional layer (Schuster & Paliwal, *Bidirectional Recurrent Neural Networks*, 1997) reads the sequence both ways
with two sets of weights; its y is both outputs side by side, at their positions in the sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.frameworks.contract.geometry import own_part
from harness.layers._arithmetic import Arithmetic, Array
from harness.layers._lstm_cell import Cell
from harness.layers._lstm_core import Course, LayerRun, Masks
from harness.layers._lstm_names import StackOptions
from harness.layers._sites import active_multiplier
from harness.records import Arrays, Site


class StackRun:
    """A pass of x (B, T, D) through the layers. h0 (L, N, B, P), c0 (L, N, B, H) for N directions; lengths (B,) or None.

    y (B, T, N P): emitted by the last layer (with go_backwards in the order of reading); last: y's last step as each direction
    read it, (B, N P); h, c: the last states, like h0 and c0; every step's values in `trace`.
    """

    def __init__(
        self,
        options: StackOptions,
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
        lengths: Array | None = None,
    ) -> None:
        self.options, self.arithmetic, self.geometry = options, arithmetic, options.geometry(x.shape)
        masks = StackMasks(options, sites, draws, train, arithmetic, prefix, x.shape)
        self.emitted = masks.emitted
        self.runs: list[list[LayerRun]] = []
        for layer in range(options.layers):
            row = []
            for direction, key in enumerate(self.geometry.prefixes(layer)):
                cell = Cell(options.cell, own_part(key, weights), arithmetic, masks.recurrent[layer][direction])
                course = Course(self.geometry.reversed(direction), lengths, options.padding)
                start = h0[layer, direction], c0[layer, direction]
                row.append(LayerRun(x, *start, cell, masks.layers[layer][direction], course, arithmetic))
            self.runs.append(row)
            x = arithmetic.times(self._ordered(np.concatenate([run.y for run in row], axis=-1)), self.emitted[layer])
        self.y = x
        self.h = np.stack([[run.last_h for run in row] for row in self.runs])
        self.c = np.stack([[run.last_c for run in row] for row in self.runs])

    def _ordered(self, y: Array) -> Array:
        """With go_backwards the outputs stay in the order in which they were made."""
        return y[:, ::-1] if self.options.go_backwards else y

    @property
    def last(self) -> Array:
        """What is returned instead of the sequence: each direction's output of the step that it read last, (B, N P)."""
        return np.asarray(self.geometry.last(self.y, lambda parts: np.concatenate(parts, axis=-1)))

    def spread(self, dlast: Array) -> Array:
        """The cotangent of y for one of `last`."""
        dy = np.zeros_like(self.y)
        for step, columns in self.geometry.ends():
            dy[:, step, columns] = dlast[:, columns]
        return dy

    @property
    def trace(self) -> Arrays:
        """What every step computed: h, c (L, B, T, ·), gates (L, 4, B, T, H), activated, i, f, g, o.

        With two directions there is an axis of them after the layers'.
        """
        found = {
            name: np.stack([[getattr(run, name) for run in row] for row in self.runs]) for name in ("h", "c", "gates")
        }
        return found if self.options.bidirectional else {name: value[:, 0] for name, value in found.items()}

    def backward(self, dy: Array, dh: Array, dc: Array) -> Arrays:
        """Gradients for dy like y, dh and dc like h and c: `x`, `h0`, `c0`, and every weight by its name."""
        gradients: Arrays = {}
        dh0, dc0 = np.zeros_like(dh), np.zeros_like(dc)
        upper = dy
        width = self.options.cell.outputs
        for layer in reversed(range(self.options.layers)):
            upper = self._ordered(self.arithmetic.times(upper, self.emitted[layer]))
            below = []
            for direction, key in enumerate(self.geometry.prefixes(layer)):
                own = upper[..., direction * width : (direction + 1) * width]
                back = self.runs[layer][direction].backward(own, dh[layer, direction], dc[layer, direction])
                gradients |= {key + name: value for name, value in back.weights.items()}
                dh0[layer, direction], dc0[layer, direction] = back.h0, back.c0
                below.append(back.x)
            upper = below[0] if len(below) == 1 else self.arithmetic.point(below[0] + below[1])
        return gradients | {"x": upper, "h0": dh0, "c0": dc0}


class StackMasks:
    """Every layer's multipliers, from the sites and their draws; [layer][direction] where a site has these axes.

    layers     what each layer multiplies inside.
    recurrent  what multiplies each recurrent kernel, (4, P, H) or sizes 1.
    emitted    what multiplies each layer's outputs: `between_layers` for all but the last, `output` for the last.
    """

    def __init__(
        self,
        options: StackOptions,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        train: bool,
        arithmetic: Arithmetic,
        prefix: str,
        sequence: Sequence[int],
    ) -> None:
        self._sites = {site.at: site for site in sites}
        self._options = options
        self._directions = options.geometry().directions
        layers, directions = range(options.layers), range(self._directions)
        batch, time, features = sequence
        cell = options.cell

        def mask(at: str) -> Array | None:
            return arithmetic.mask(active_multiplier(self._sites.get(prefix + at), draws, train))

        inputs = self._table(mask("input"), 4, (batch, time, features), per_layer=False)
        h = self._table(mask("state.h"), 4, (batch, time, cell.outputs))
        c = self._table(mask("state.c"), 3, (batch, time, cell.units))
        self.layers = [
            [Masks(None if n else inputs[0][d], h[n][d], c[n][d], options.leaving) for d in directions] for n in layers
        ]
        weight = self._table(mask("weight.recurrent"), 3, ())
        self.recurrent = [
            [None if part is None else part.transpose(1, 0, 2) for part in (weight[n][d] for d in directions)]
            for n in layers
        ]
        between = mask("between_layers")
        upward: list[Array | None] = [None] * (options.layers - 1)
        if between is not None:
            upward = list(np.broadcast_to(between, (options.layers - 1, *between.shape[1:])))
        self.emitted: list[Array | None] = [*upward, mask("output")]

    def _table(
        self, value: Array | None, rank: int, full: tuple[int, ...], *, per_layer: bool = True
    ) -> list[list[Array | None]]:
        """One mask for each layer and direction: of `rank` axes, the last ones broadcast to `full`."""
        options = self._options
        layers = options.layers if per_layer else 1
        if value is None:
            return [[None] * self._directions for _ in range(layers)]
        own = value.shape[value.ndim - rank :]
        leading = list(value.shape[: value.ndim - rank])
        if not (per_layer and options.layers > 1):
            leading.insert(0, 1)
        if not options.bidirectional:
            leading.append(1)
        core = (*own[: rank - len(full)], *full)
        table = np.broadcast_to(value.reshape(*leading, *own), (layers, self._directions, *core))
        return [list(row) for row in table]
