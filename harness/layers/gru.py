"""GRU, one layer.

Equations and papers: harness.layers._simple_core; sites: harness.layers._simple_kind.
"""

from __future__ import annotations

from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._fields import Flag
from harness.layers._simple_core import GruCell, SimpleCell
from harness.layers._simple_kind import SimpleConfig, SimpleKind
from harness.layers.base import Shapes, register
from harness.records import Arrays


class GruConfig(SimpleConfig):
    """Settings of a GRU."""

    reset_after: Flag = Field(
        default=True,
        description="The reset gate acts after the recurrent product, which then has a bias of its own "
        "(weight recurrent_bias).",
    )


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
