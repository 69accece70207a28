"""Encoder and decoder: the last state (h, c) of one LSTM is the initial state of another.

Sutskever, Vinyals & Le, *Sequence to Sequence Learning with Neural Networks*, 2014 (arXiv 1409.3215). The decoder reads
its own sequence z (teacher forcing). With `tied: true` both are the same LSTM, so the whole equals one run over x and
then z. The sites of each half are those of `lstm` under the prefixes `encoder.` and `decoder.`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from harness.frameworks.contract.geometry import HALVES, own_part
from harness.layers._arithmetic import Arithmetic, float64
from harness.layers._fields import Count, Flag, Layers
from harness.layers._lstm_cell import CellOptions
from harness.layers._lstm_kind import LstmKind
from harness.layers._lstm_names import (
    SITES,
    StackOptions,
    check_sequence,
    check_states,
    resolve_sites,
    state_shapes,
    weight_shapes,
)
from harness.layers._lstm_stack import StackRun
from harness.layers.base import Config, DropoutSpec, Evaluation, LayerKind, Refused, Shapes, register
from harness.layers.lstm import Lstm, LstmConfig
from harness.records import Arrays, Site
from harness.rounding import Rounding


class EncoderDecoderConfig(Config):
    """Settings of both halves."""

    units: Count = Field(description="H, the width of every state.")
    layers: Layers = Field(default=1, description="L, the layers of each half.")
    return_sequences: Flag = Field(default=False, description="y has every step of the decoder, else its last.")
    return_state: Flag = Field(
        default=False,
        description="The decoder's last h and c are outputs too, and the encoder.h and encoder.c that were handed over.",
    )
    tied: Flag = Field(default=False, description="One set of weights for both halves, under the names of `lstm`.")

    def stack(self) -> StackOptions:
        """One half, as the reference reads it."""
        return StackOptions(CellOptions(self.units), self.layers)


class EncoderDecoder(LstmKind):
    """Inputs x (B, S, D) for the encoder, z (B, T, E) for the decoder, optional h0 and c0 of the encoder."""

    name = "encoder_decoder"
    halves = HALVES
    checks = ("state.handover",)
    Config = EncoderDecoderConfig
    site_names = tuple(half + site for half, _ in HALVES for site in SITES)
    input_letters: ClassVar[Mapping[str, str]] = {"x": "BSD", "z": "BTE"}

    def half(self, config: EncoderDecoderConfig, **settings: Any) -> tuple[LayerKind, LstmConfig]:
        """Each half is an LSTM."""
        return Lstm().odd(self.options), LstmConfig(units=config.units, layers=config.layers, **settings)

    def input_names(self, config: EncoderDecoderConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return x and z, and the encoder's initial state, zero where it is not given."""
        return ("x", "z"), ("h0", "c0")

    def check_inputs(self, config: EncoderDecoderConfig, inputs: Shapes) -> None:
        """Refuse sequences of different batches, and of different widths where the weights are tied."""
        x, z = inputs["x"], inputs["z"]
        check_sequence("x", x)
        check_sequence("z", z)
        if x[0] != z[0]:
            raise Refused(("inputs", "z"), f"x has a batch of {x[0]}, z of {z[0]}")
        if config.tied and x[2] != z[2]:
            raise Refused(("inputs", "z"), f"tied weights read x and z alike: {x[2]} and {z[2]} features do not fit")
        check_states(config.stack(), inputs, x[0])

    def weight_shapes(self, config: EncoderDecoderConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Those of two LSTMs under `encoder.` and `decoder.`; tied, those of one."""
        self.check_inputs(config, inputs)
        if config.tied:
            return weight_shapes(config.stack(), inputs["x"][2])
        return {
            half + name: shape
            for half, sequence in HALVES
            for name, shape in weight_shapes(config.stack(), inputs[sequence][2]).items()
        }

    def sites(self, config: EncoderDecoderConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list in its order."""
        self.check_inputs(config, inputs)
        sequences = {half: inputs[sequence] for half, sequence in HALVES}
        return resolve_sites(dropout, config.stack(), sequences)

    def output_shapes(self, config: EncoderDecoderConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Return y of the decoder; with return_state its h and c, and the handed-over encoder.h and encoder.c."""
        batch, time, _ = inputs["z"]
        state = state_shapes(config.stack(), batch)["h"]
        shapes = {"y": (batch, time, config.units) if config.return_sequences else (batch, config.units)}
        names = ("h", "c", "encoder.h", "encoder.c") if config.return_state else ()
        return shapes | dict.fromkeys(names, state)

    def evaluate(
        self,
        config: EncoderDecoderConfig,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """Outputs, gradients of every given input and weight, and each half's trace under its prefix."""
        arithmetic = Arithmetic(rounding)
        x, z = float64(inputs["x"]), float64(inputs["z"])
        options = config.stack().odd(self.options)
        stacked = (config.layers, 1, x.shape[0], config.units)
        state = state_shapes(options, x.shape[0])["h"]
        h0, c0 = (float64(inputs.get(name, np.zeros(stacked))).reshape(stacked) for name in ("h0", "c0"))

        def half(prefix: str, sequence: np.ndarray, h: np.ndarray, c: np.ndarray) -> StackRun:
            own = weights if config.tied else own_part(prefix, weights)
            return StackRun(
                options, sequence, h, c, own, sites, draws, train=train, arithmetic=arithmetic, prefix=prefix
            )

        encoder = half("encoder.", x, h0, c0)
        decoder = half("decoder.", z, encoder.h, encoder.c)
        outputs = {"y": decoder.y if config.return_sequences else decoder.last}
        if config.return_state:
            states = {"h": decoder.h, "c": decoder.c, "encoder.h": encoder.h, "encoder.c": encoder.c}
            outputs |= {name: value.reshape(state) for name, value in states.items()}
        trace = _prefixed("encoder.", encoder.trace) | _prefixed("decoder.", decoder.trace)
        if cotangents is None:
            return Evaluation(outputs, trace=trace)

        def cotangent(name: str) -> np.ndarray:
            return float64(cotangents.get(name, np.zeros(stacked))).reshape(stacked)

        dy = np.zeros_like(decoder.y)
        if "y" in cotangents:
            dy[:, slice(None) if config.return_sequences else -1] = float64(cotangents["y"])
        after = decoder.backward(dy, cotangent("h"), cotangent("c"))
        dz, dh, dc = (after.pop(name) for name in ("x", "h0", "c0"))
        before = encoder.backward(
            np.zeros_like(encoder.y),
            arithmetic.point(dh + cotangent("encoder.h")),
            arithmetic.point(dc + cotangent("encoder.c")),
        )
        gradients: Arrays = {"x": before.pop("x"), "z": dz}
        for name in ("h0", "c0"):
            value = before.pop(name)
            if name in inputs:
                gradients[name] = value.reshape(state)
        if config.tied:
            gradients |= {name: arithmetic.point(before[name] + after[name]) for name in before}
        else:
            gradients |= _prefixed("encoder.", before) | _prefixed("decoder.", after)
        return Evaluation(outputs, gradients, trace)


def _prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return {prefix + name: array for name, array in arrays.items()}


register(EncoderDecoder())
