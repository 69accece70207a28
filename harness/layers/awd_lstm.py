"""The AWD-LSTM language model: embedding, weight-dropped LSTM layers with locked dropout between them, decoder.

Merity, Keskar & Socher, *Regularizing and Optimizing LSTM Language Models*, 2018 (arXiv 1708.02182), section 4:

    x = lookup(embedding, tokens), rows dropped (4.3); locked dropout (one mask for all steps, 4.2)
    each layer: an LSTM whose recurrent kernel is dropped once for the whole call (DropConnect, section 2)
    locked dropout between the layers and on the last output
    y = output V + bias, V the embedding transposed where weights are tied (4.5)

Sites (V vocabulary, E features, H units; the last layer's units are E where weights are tied):

    embedding.rows             (batch, vocabulary V, features E)
    input                      (batch, time, features E)              on the looked-up embeddings
    between_layers             (layers L - 1, batch, time, features H)
    output                     (batch, time, features)                 on the last layer's output
    weight.recurrent           (inputs, gates 4, units)                of every layer: resolves to one site a layer,
                               `layer0.weight.recurrent` …, as the layers' units may differ
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from harness.errors import did_you_mean
from harness.frameworks.contract.geometry import layer_name, own_part
from harness.layers._arithmetic import Arithmetic, Array, float64
from harness.layers._embedding_core import SITE, Lookup, check_tokens, row_site
from harness.layers._fields import Count, Flag, Layers
from harness.layers._lstm_cell import Cell, CellOptions
from harness.layers._lstm_core import Course, LayerRun, Masks
from harness.layers._lstm_kind import LstmKind
from harness.layers._sites import active_multiplier, resolve
from harness.layers.base import Config, DropoutSpec, Evaluation, Refused, Shapes, register
from harness.records import Arrays, Site
from harness.rounding import Rounding

WEIGHT = "weight.recurrent"


class AwdLstmConfig(Config):
    """Settings of an AWD-LSTM."""

    vocabulary: Count = Field(description="V, the embedding's rows and the logits.")
    features: Count = Field(description="E, the embedding's columns.")
    units: Count = Field(description="H of every layer but a tied last one, which has E.")
    layers: Layers = Field(default=3, description="L, the LSTM layers.")
    return_state: Flag = Field(default=False, description="Each layer's last h and c are outputs too.")
    tied: Flag = Field(default=False, description="The decoder's weight is the embedding, transposed.")

    def widths(self) -> list[tuple[int, int]]:
        """Each layer's input width and units."""
        units = [self.units] * self.layers
        if self.tied:
            units[-1] = self.features
        return list(zip([self.features, *units[:-1]], units, strict=True))


class AwdLstm(LstmKind):
    """Inputs x: tokens (B, T); optional `layer0.h0`, `layer0.c0` … (B, units of the layer).

    Outputs y: logits (B, T, V); with return_state `layer0.h`, `layer0.c` …
    """

    name = "awd_lstm"
    numbered = True
    Config = AwdLstmConfig
    site_names = (SITE, "input", "between_layers", "output", WEIGHT)
    input_letters: ClassVar[Mapping[str, str]] = {"x": "BT"}

    def input_names(self, config: AwdLstmConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return x, the tokens; and each layer's initial state, zero where it is not given."""
        return ("x",), tuple(f"{layer_name(layer)}{name}0" for layer in range(config.layers) for name in ("h", "c"))

    def integer_inputs(self, config: AwdLstmConfig, inputs: Shapes) -> dict[str, tuple[int, int]]:
        """Tokens are in [0, V - 1]."""
        return {"x": (0, config.vocabulary - 1)}

    def check_inputs(self, config: AwdLstmConfig, inputs: Shapes) -> None:
        """Refuse all but tokens (B, T) and initial states (B, units of the layer)."""
        check_tokens("x", inputs["x"])
        for layer, (_, units) in enumerate(config.widths()):
            for name in (layer_name(layer) + "h0", layer_name(layer) + "c0"):
                expected = (inputs["x"][0], units)
                if name in inputs and tuple(inputs[name]) != expected:
                    raise Refused(("inputs", name), f"{name} must be {expected}, not {tuple(inputs[name])}")

    def weight_shapes(self, config: AwdLstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: embedding (V, E), `layer0.kernel` …, decoder.kernel (units, V) unless tied, decoder.bias (V,)."""
        self.check_inputs(config, inputs)
        shapes: dict[str, tuple[int, ...]] = {"embedding": (config.vocabulary, config.features)}
        for layer, (features, units) in enumerate(config.widths()):
            shapes[f"{layer_name(layer)}kernel"] = (features, 4 * units)
            shapes[f"{layer_name(layer)}recurrent_kernel"] = (units, 4 * units)
            shapes[f"{layer_name(layer)}bias"] = (4 * units,)
        if not config.tied:
            shapes["decoder.kernel"] = (config.units, config.vocabulary)
        return shapes | {"decoder.bias": (config.vocabulary,)}

    def sites(self, config: AwdLstmConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list in its order; `weight.recurrent` becomes one site a layer."""
        self.check_inputs(config, inputs)
        batch, time = inputs["x"]
        sequence = ("batch", "time", "features")
        widths = config.widths()
        known: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
            "input": (sequence, (batch, time, config.features)),
            "output": (sequence, (batch, time, widths[-1][1])),
        }
        if config.layers > 1:
            known["between_layers"] = (("layers", *sequence), (config.layers - 1, batch, time, config.units))
        found: list[Site] = []
        for index, spec in enumerate(dropout):
            if any(other.at == spec.at for other in dropout[:index]):
                raise Refused(("dropout", index, "at"), f"site {spec.at!r} is listed twice")
            if spec.at == SITE:
                found.append(row_site(spec, index, batch, config.vocabulary, config.features))
            elif spec.at == WEIGHT:
                for layer, (_, units) in enumerate(widths):
                    own = spec.model_copy(update={"at": layer_name(layer) + WEIGHT})
                    found.append(resolve(own, index, ("inputs", "gates", "units"), (units, 4, units)))
            elif spec.at in known:
                found.append(resolve(spec, index, *known[spec.at]))
            else:
                names = (SITE, WEIGHT, *known)
                hint = did_you_mean(spec.at, names)
                message = f"no site {spec.at!r} here{hint}; there are: {', '.join(names)}"
                raise Refused(("dropout", index, "at"), message)
        return tuple(found)

    def output_shapes(self, config: AwdLstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes of y, then of each layer's h and c where the state is returned."""
        batch, time = inputs["x"]
        shapes: dict[str, tuple[int, ...]] = {"y": (batch, time, config.vocabulary)}
        if config.return_state:
            for layer, (_, units) in enumerate(config.widths()):
                shapes |= {layer_name(layer) + name: (batch, units) for name in ("h", "c")}
        return shapes

    def cell_options(self, units: int) -> CellOptions:
        """The cell of a layer: the plain one. The search for causes has others."""
        return CellOptions(units, **self.options)

    def evaluate(
        self,
        config: AwdLstmConfig,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """Outputs, gradients of every weight and initial state, and each layer's trace `layer0.h`, `layer0.c` (B, T, H)."""
        arithmetic = Arithmetic(rounding)
        by_name = {site.at: site for site in sites}

        def mask(at: str) -> Array | None:
            return arithmetic.mask(active_multiplier(by_name.get(at), draws, train))

        tokens = np.asarray(inputs["x"]).astype(np.int64)
        batch = tokens.shape[0]
        table = float64(weights["embedding"])
        lookup = Lookup(table, tokens, mask(SITE), arithmetic)
        between = mask("between_layers")
        gaps = range(config.layers - 1)
        below = [mask("input"), *(None if between is None else between[gap % between.shape[0]] for gap in gaps)]
        x = lookup.y
        runs: list[LayerRun] = []
        for layer, (_, units) in enumerate(config.widths()):
            prefix = layer_name(layer)
            own = own_part(prefix, weights)
            dropped = mask(f"{prefix}weight.recurrent")
            cell = Cell(
                self.cell_options(units), own, arithmetic, None if dropped is None else dropped.transpose(1, 0, 2)
            )
            h0, c0 = (float64(inputs.get(f"{prefix}{name}0", np.zeros((batch, units)))) for name in ("h", "c"))
            x = arithmetic.times(x, below[layer])
            runs.append(LayerRun(x, h0, c0, cell, Masks(), Course(), arithmetic))
            x = runs[-1].y
        output_mask = mask("output")
        x = arithmetic.times(x, output_mask)
        decoder = table.T if config.tied else float64(weights["decoder.kernel"])
        outputs = {"y": arithmetic.affine([(x, decoder)], float64(weights["decoder.bias"]))}
        if config.return_state:
            for layer, run in enumerate(runs):
                outputs |= {f"{layer_name(layer)}h": run.last_h, f"{layer_name(layer)}c": run.last_c}
        trace = {layer_name(layer) + name: getattr(run, name) for layer, run in enumerate(runs) for name in ("h", "c")}
        if cotangents is None:
            return Evaluation(outputs, trace=trace)

        dy = float64(cotangents.get("y", np.zeros_like(outputs["y"])))
        flat, flat_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
        d_decoder = arithmetic.affine([(flat_x.T, flat)])
        gradients: Arrays = {"decoder.bias": arithmetic.total(flat.sum(axis=0), np.abs(flat).sum(axis=0))}
        dx = arithmetic.times(arithmetic.affine([(dy, decoder.T)]), output_mask)
        for layer in reversed(range(config.layers)):
            prefix, run = layer_name(layer), runs[layer]
            dh, dc = (float64(cotangents.get(prefix + name, np.zeros_like(run.last_c))) for name in ("h", "c"))
            back = run.backward(dx, dh, dc)
            gradients |= {prefix + name: value for name, value in back.weights.items()}
            for name, value in (("h0", back.h0), ("c0", back.c0)):
                if prefix + name in inputs:
                    gradients[prefix + name] = value
            dx = arithmetic.times(back.x, below[layer])
        gradients["embedding"] = lookup.backward(dx)
        if config.tied:
            gradients["embedding"] = arithmetic.point(gradients["embedding"] + d_decoder.T)
        else:
            gradients["decoder.kernel"] = d_decoder
        return Evaluation(outputs, gradients, trace)


register(AwdLstm())
