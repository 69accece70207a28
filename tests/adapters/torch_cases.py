"""The configurations that every torch adapter is tested on, and the arrays that they take."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from adapter_jobs import FULL, Call, at

X = np.random.default_rng(0).normal(size=(3, 6, 5))
Z = np.random.default_rng(1).normal(size=(3, 4, 5))
H = np.random.default_rng(2).normal(size=(3, 3, 4))

LOCKED = [
    at("input", 0.3, "gates", "time"),
    at("between_layers", 0.5, "time"),
    at("output", 0.4, "time"),
]
STEPWISE = [
    at("input", 0.3, "gates", "time"),
    at("state.h", 0.25, "gates"),
    at("state.c", 0.2, "time"),
    at("between_layers", 0.5, "features"),
    at("output", 0.4),
]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time", "batch"), at("state.c", 0.2, "layers")]
HALVES = [at("encoder.input", 0.3, "gates"), at("decoder.output", 0.3), at("decoder.between_layers", 0.6)]

TWO_WAYS = [at("input", 0.3, "directions", "gates"), at("between_layers", 0.4), at("output")]
LENGTHS = np.array([4, 6, 1])

WORDS = np.random.default_rng(3).integers(0, 7, (3, 6))
TABLE = {"vocabulary": 7, "features": 4}
MODEL = {**TABLE, "units": 5, "layers": 3, "return_state": True}
AWD = [
    at("embedding.rows", 0.3, "batch", "features"),
    at("input", 0.3, "time"),
    at("weight.recurrent", 0.5, "inputs"),
    at("between_layers", 0.25, "time"),
    at("output", 0.4, "time"),
]

Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]]]

STACKED: Case = ("lstm", "torch.nn.LSTM", {**FULL, "layers": 3}, [at("between_layers"), at("output")])

CASES: list[Case] = [
    ("dropout", "torch.nn.Dropout", {"rate": 0.3}, ()),
    ("dropout", "torch.nn.functional.dropout", {"rate": 0.3}, ()),
    ("dropout", "torch.native_dropout", {"rate": 0.3}, ()),
    ("dropout", "torch.nn.Dropout1d", {"rate": 0.3, "shared": ["time"]}, ()),
    ("dropout", "torch.nn.Dropout1d", {"rate": 0.3, "shared": ["features"]}, ()),
    ("dropout", "torch.nn.Dropout2d", {"rate": 0.3, "shared": ["time"]}, ()),
    ("dropout", "recipe.LockedDropout", {"rate": 0.3, "shared": ["time"]}, ()),
    ("alpha_dropout", "torch.nn.AlphaDropout", {"rate": 0.3}, ()),
    ("alpha_dropout", "torch.nn.functional.alpha_dropout", {"rate": 0.3}, ()),
    ("alpha_dropout", "torch.nn.FeatureAlphaDropout", {"rate": 0.3, "shared": ["time"]}, ()),
    ("gaussian_dropout", "recipe.GaussianDropout", {"rate": 0.3, "shared": ["batch"]}, ()),
    ("gaussian_noise", "recipe.GaussianNoise", {"stddev": 0.3}, ()),
    ("masked_gaussian_noise", "recipe.MaskedGaussianNoise", {"rate": 0.3, "stddev": 0.5}, ()),
    ("lstm", "torch.nn.LSTM", FULL, [at("input", 0.3, "gates"), at("output")]),
    STACKED,
    ("lstm", "torch.nn.LSTM", {"units": 4}, ()),
    ("lstm", "torch.nn.LSTMCell", {**FULL, "layers": 3}, STEPWISE),
    ("lstm", "recipe.lstm_loop", {**FULL, "layers": 3}, STEPWISE),
    ("lstm", "recipe.lstm_loop", {**FULL, "layers": 2}, GATEWISE),
    ("lstm", "recipe.lstm_loop", FULL, [at("state.h", 0.3, "time", noise="gaussian")]),
    ("lstm", "recipe.LockedDropout", {**FULL, "layers": 3}, LOCKED),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "bidirectional": True}, TWO_WAYS),
    ("lstm", "torch.nn.LSTM", {"units": 4, "bidirectional": True}, [at("output")]),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "projection": 2, "bidirectional": True}, TWO_WAYS),
    ("lstm", "torch.nn.LSTM", {**FULL, "projection": 3, "forget_bias": 1.0}, ()),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "padding": "zeros"}, [at("between_layers"), at("output")]),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "bidirectional": True, "padding": "zeros"}, TWO_WAYS),
    ("lstm", "torch.nn.LSTMCell", {**FULL, "forget_bias": 1.0}, [at("state.h", 0.3, "gates", "time")]),
    ("lstm", "recipe.lstm_loop", {**FULL, "peepholes": True, "cell_clip": 0.2, "forget_bias": 1.0}, [at("output")]),
    (
        "lstm",
        "recipe.lstm_loop",
        {**FULL, "layers": 2, "projection": 3, "projection_clip": 0.1},
        [at("state.h", 0.3, "gates"), at("output")],
    ),
    ("lstm", "recipe.lstm_loop", {**FULL, "go_backwards": True}, [at("input", 0.3, "gates"), at("output")]),
    (
        "lstm",
        "recipe.lstm_loop",
        {**FULL, "drop_leaving_state": True},
        [at("state.h", 0.3, "gates"), at("state.c"), at("output")],
    ),
    ("lstm", "recipe.lstm_loop", {**FULL, "recurrent_activation": "hard_sigmoid"}, ()),
    ("lstm", "recipe.WeightDrop", FULL, [at("weight.recurrent", 0.5, "inputs")]),
    ("lstm", "recipe.WeightDrop", FULL, [at("weight.recurrent", 0.5, "gates", "units")]),
    ("lstm", "recipe.WeightDrop", {**FULL, "layers": 3}, [at("weight.recurrent", 0.5), at("between_layers")]),
    ("lstm", "recipe.WeightDrop", {**FULL, "layers": 2, "bidirectional": True}, [at("weight.recurrent"), *TWO_WAYS]),
    ("lstm", "recipe.AWD_LSTM", {**FULL, "layers": 3}, [at("weight.recurrent", 0.5), *LOCKED]),
    ("lstm", "recipe.AWD_LSTM", FULL, [at("weight.recurrent", 0.5, "inputs"), at("output", 0.3, "time")]),
    ("lstm", "recipe.lstm_loop", {**FULL, "recurrent_activation": "hard_sigmoid_keras2"}, ()),
    ("gru", "torch.nn.GRU", FULL, [at("input", 0.3, "gates"), at("output")]),
    ("gru", "torch.nn.GRU", {"units": 4}, ()),
    ("gru", "recipe.gru_loop", FULL, [at("input", 0.3, "time"), at("state.h", 0.4, "time"), at("output")]),
    ("gru", "recipe.gru_loop", {**FULL, "reset_after": False}, [at("state.h", 0.4, "gates"), at("input", 0.2)]),
    ("simple_rnn", "torch.nn.RNN", FULL, [at("input", 0.3), at("output")]),
    ("simple_rnn", "recipe.rnn_loop", FULL, [at("input", 0.3, "time"), at("state.h", 0.4, "time"), at("output")]),
    ("embedding", "torch.nn.Embedding", TABLE, ()),
    ("embedding", "recipe.embedded_dropout", TABLE, AWD[:1]),
    ("awd_lstm", "recipe.AWD_LSTM", MODEL, AWD),
    ("awd_lstm", "recipe.AWD_LSTM", {**MODEL, "tied": True}, AWD),
    ("awd_lstm", "recipe.AWD_LSTM", {**MODEL, "layers": 1}, [at("weight.recurrent", 0.5), AWD[1]]),
    ("awd_lstm", "recipe.AWD_LSTM", MODEL, [at("weight.recurrent", 0.5, "gates", "units")]),
    ("encoder_decoder", "torch.nn.LSTM", {**FULL, "layers": 2}, HALVES),
    ("encoder_decoder", "torch.nn.LSTM", {**FULL, "layers": 2, "tied": True}, HALVES),
    ("encoder_decoder", "torch.nn.LSTMCell", {**FULL, "layers": 2, "tied": True}, HALVES),
    ("encoder_decoder", "recipe.lstm_loop", {**FULL, "layers": 2}, HALVES),
    ("encoder_decoder", "recipe.LockedDropout", FULL, [at("encoder.input", 0.3, "gates", "time")]),
]


def name_of(case: Case) -> str:
    return "-".join(
        [case[0], case[1], *(f"{key}={value}" for key, value in case[2].items() if key in ("layers", "tied"))]
    )


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout = case
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    if layer == "lstm" and config.get("layers") == 3:
        inputs |= {"h0": H, "c0": H[::-1]}
    if layer in ("embedding", "awd_lstm"):
        inputs = {"x": WORDS}
    if layer in ("gru", "simple_rnn") and config != {"units": 4}:
        inputs["h0"] = H[0]
    if config.get("padding"):
        inputs |= {"lengths": LENGTHS}
    return Call("torch", name, layer, config, dropout, inputs=more.pop("inputs", inputs), **more)
