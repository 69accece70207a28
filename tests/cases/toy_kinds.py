"""Layer kinds and implementations of these tests' own, so that messages that list them stay the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.frameworks.contract.adapter import Adapter, Implementation
from harness.layers.base import Config, DropoutSpec, Evaluation, LayerKind, Refused, Shapes
from harness.records import Site


class ToyConfig(Config):
    units: int = Field(ge=1)
    flip: bool = False
    axes: tuple[str, ...] = ()


class Toy(LayerKind):
    """Inputs x (B, T, D) and optional h0 (B, H); weights kernel (D, H) and bias (H,); output y (B, T, H)."""

    name = "toy"
    Config = ToyConfig
    site_names = ("input", "state.h")

    def input_names(self, config: ToyConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ("x",), ("h0",)

    def check_inputs(self, config: ToyConfig, inputs: Shapes) -> None:
        if len(inputs["x"]) != 3:
            raise Refused(("inputs", "x"), f"x must have 3 axes, not {len(inputs['x'])}")

    def weight_shapes(self, config: ToyConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        return {"kernel": (inputs["x"][2], config.units), "bias": (config.units,)}

    def sites(self, config: ToyConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        for index, spec in enumerate(dropout):
            for axis in spec.shared:
                if axis != "time":
                    raise Refused(("dropout", index, "shared"), f"no axis {axis!r} here")
        return tuple(Site(at=spec.at, rate=spec.rate, shared=spec.shared) for spec in dropout)

    def output_shapes(self, config: ToyConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        return {"y": (*inputs["x"][:2], config.units)}

    def evaluate(self, *args: Any, **kwargs: Any) -> Evaluation:
        raise AssertionError("loading a case evaluates nothing")


class FlatConfig(Config):
    rate: float = Field(ge=0.0, le=1.0)


class Flat(Toy):
    """A kind without weights and dropout list."""

    name = "flat"
    Config = FlatConfig
    site_names = ()

    def weight_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        return {}

    def output_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        return {"y": tuple(inputs["x"])}


class ToyAdapter(Adapter):
    options: Mapping[str, Any] = {"jit": True, "unroll": False}


KINDS: dict[str, LayerKind] = {"flat": Flat(), "toy": Toy()}
IMPLEMENTATIONS = {
    (backend, layer, name): Implementation(backend, name, layer, ToyAdapter, (), False)
    for backend, layer, name in (
        ("torch", "toy", "toys.Toy"),
        ("torch", "toy", "toys.ToyCell"),
        ("torch", "flat", "toys.Flat"),
        ("jax", "toy", "jaxtoys.Toy"),
        ("numpy", "toy", "loop"),
    )
}

CASE = """\
about: A case.
layer: toy
config: {units: 2}
inputs: {x: {shape: [5, 7, 3], fill: normal}}
backends: [numpy]
"""
