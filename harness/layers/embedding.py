"""Embedding: rows of a table, with dropout of whole rows (words).

Papers: harness.layers._embedding_core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from harness.errors import did_you_mean
from harness.layers._arithmetic import Arithmetic, float64
from harness.layers._embedding_core import SITE, Lookup, check_tokens, row_site
from harness.layers._fields import Count
from harness.layers._sites import active_multiplier
from harness.layers.base import Config, DropoutSpec, Evaluation, LayerKind, Refused, Shapes, register
from harness.records import Arrays, Site
from harness.rounding import Rounding


class EmbeddingConfig(Config):
    """Settings of an embedding."""

    vocabulary: Count = Field(description="V, the table's rows.")
    features: Count = Field(description="E, its columns.")


class Embedding(LayerKind):
    """Input x: tokens (B, T), integers in [0, V - 1]; weight embedding (V, E); output y (B, T, E).

    Site embedding.rows: axes (batch, vocabulary, features); `shared: [batch, features]` is the mask (V, 1) that people use.
    """

    name = "embedding"
    Config = EmbeddingConfig
    site_names = (SITE,)
    input_letters: ClassVar[Mapping[str, str]] = {"x": "BT"}

    def input_names(self, config: EmbeddingConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return x, the tokens."""
        return ("x",), ()

    def integer_inputs(self, config: EmbeddingConfig, inputs: Shapes) -> dict[str, tuple[int, int]]:
        """Tokens are in [0, V - 1]."""
        return {"x": (0, config.vocabulary - 1)}

    def check_inputs(self, config: EmbeddingConfig, inputs: Shapes) -> None:
        """Refuse all but tokens (B, T)."""
        check_tokens("x", inputs["x"])

    def weight_shapes(self, config: EmbeddingConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: embedding (V, E)."""
        self.check_inputs(config, inputs)
        return {"embedding": (config.vocabulary, config.features)}

    def sites(self, config: EmbeddingConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list: at most one entry, at embedding.rows."""
        self.check_inputs(config, inputs)
        for index, spec in enumerate(dropout):
            if spec.at != SITE:
                hint = did_you_mean(spec.at, self.site_names)
                raise Refused(("dropout", index, "at"), f"no site {spec.at!r} here{hint}; there is: {SITE}")
            if index:
                raise Refused(("dropout", index, "at"), f"site {spec.at!r} is listed twice")
        batch = inputs["x"][0]
        return tuple(row_site(spec, 0, batch, config.vocabulary, config.features) for spec in dropout)

    def output_shapes(self, config: EmbeddingConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shape of y, (B, T, E)."""
        return {"y": (*inputs["x"], config.features)}

    def evaluate(
        self,
        config: EmbeddingConfig,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """Y, and the table's gradient."""
        arithmetic = Arithmetic(rounding)
        mask = arithmetic.mask(active_multiplier(next(iter(sites), None), draws, train))
        tokens = np.asarray(inputs["x"]).astype(np.int64)
        lookup = Lookup(float64(weights["embedding"]), tokens, mask, arithmetic)
        if cotangents is None or "y" not in cotangents:
            return Evaluation({"y": lookup.y})
        return Evaluation({"y": lookup.y}, {"embedding": lookup.backward(float64(cotangents["y"]))})


register(Embedding())
