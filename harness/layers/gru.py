"""GRU, one layer: equations and papers in harness.layers._simple_core; sites in harness.layers._simple_kind."""

from __future__ import annotations

from harness.layers._arithmetic import Arithmetic
from harness.layers._fields import Flag
from harness.layers._simple_core import GruCell, SimpleCell
from harness.layers._simple_kind import SimpleConfig, SimpleKind
from harness.layers.base import Shapes, register
from harness.records import Arrays


class GruConfig(SimpleConfig):
    """reset_after: the reset gate acts after the recurrent product, which then has a bias of its own."""

    reset_after: Flag = True


class Gru(SimpleKind):
    """Gates in the order z, r, n (update, reset, new), as Keras has them; torch's order is r, z, n."""

    name = "gru"
    Config = GruConfig
    gates = 3

    def weight_shapes(self, config: GruConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: kernel (D, 3H), recurrent_kernel (H, 3H), bias (3H,), with reset_after recurrent_bias (3H,)."""
        shapes = super().weight_shapes(config, inputs)
        return shapes | ({"recurrent_bias": (3 * config.units,)} if config.reset_after else {})

    def cell(self, config: GruConfig, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The GRU cell."""
        return GruCell(weights, arithmetic, after=config.reset_after)


register(Gru())
