"""GRU, one layer.

Equations and papers: harness.layers._simple_core; sites: harness.layers._simple_kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from harness.layers import _solved
from harness.layers._arithmetic import Arithmetic
from harness.layers._declared import Gate, Mistake, Oddities
from harness.layers._fields import Flag
from harness.layers._simple_core import GruCell, SimpleCell
from harness.layers._simple_kind import SimpleConfig, SimpleKind
from harness.layers._solved import Seen, Told
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
    gates = (
        Gate(
            "z",
            "the update gate z",
            inverse=(
                "h = (1 - z) h' + z n instead of z h' + (1 - z) n",
                "h = z * h' + (1 - z) * n, as Keras and torch do",
            ),
        ),
        Gate("r", "the reset gate r", through="n"),
        Gate("n", "the new value n"),
    )

    orders: ClassVar[Mapping[str, str]] = {"rzn": "torch's GRU"}
    oddities = Oddities(
        gates="activation",
        tanh={"squash": "the new value n"},
        formula="n = tanh(…): set activation to tanh",
        fed={"blend_masked": True},
    )

    def mistakes(self, config: GruConfig) -> Iterator[Mistake]:
        """The reset gate on the other side of the recurrent product; the new state blended with the masked h."""
        after = config.reset_after
        wrong, right = ("before", "after") if after else ("after", "before")
        yield Mistake(
            f"gates.reset {wrong}",
            f"reset gate applied {wrong} the recurrent product, not {right} it",
            "n = tanh(x W + b + r * (h U + v))" if after else "n = tanh(x W + b + (r * h) U)",
            {"after": not after},
        )
        yield Mistake(
            "gates.blend masked",
            "the masked h blended into the new state as well",
            "mask h where it enters the products only: h = z * h' + (1 - z) * n takes the whole h'",
            {"blend_masked": True},
            1.1,
            at="state.h",
        )

    def solved(self, config: GruConfig, seen: Seen, gate: str) -> Told | None:
        """Each step by itself."""
        return _solved.gru(seen, gate, config.reset_after)

    def weight_shapes(self, config: GruConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: kernel (D, 3H), recurrent_kernel (H, 3H), bias (3H,), with reset_after recurrent_bias (3H,)."""
        shapes = super().weight_shapes(config, inputs)
        return shapes | ({"recurrent_bias": (3 * config.units,)} if config.reset_after else {})

    def cell(self, config: GruConfig, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The GRU cell."""
        return GruCell(weights, arithmetic, **{"after": config.reset_after, **self.options})


register(Gru())
