"""A layer kind without weights or dropout: y = x / 2."""

from typing import Any, ClassVar

import numpy as np

from harness.layers._arithmetic import Arithmetic
from harness.layers.base import Config, Evaluation, LayerKind, Refused, register


class Halving(LayerKind):
    """Input x of any shape; output y of the same."""

    name = "halving"
    Config = Config
    input_letters: ClassVar[dict[str, str]] = {}

    def input_names(self, config: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ("x",), ()

    def sites(self, config: Any, dropout: Any, inputs: Any) -> tuple[Any, ...]:
        if dropout:
            raise Refused(("dropout",), "halving has no dropout")
        return ()

    def output_shapes(self, config: Any, inputs: Any) -> dict[str, tuple[int, ...]]:
        return {"y": tuple(inputs["x"])}

    def evaluate(self, config: Any, inputs: Any, weights: Any, sites: Any, draws: Any, **more: Any) -> Evaluation:
        arithmetic, half = Arithmetic(more.get("rounding")), np.float64(0.5)
        outputs = {"y": arithmetic.times(np.asarray(inputs["x"], dtype=np.float64), half)}
        cotangents = more.get("cotangents")
        if cotangents is None:
            return Evaluation(outputs)
        return Evaluation(outputs, {"x": arithmetic.times(np.asarray(cotangents["y"], dtype=np.float64), half)})


register(Halving())
