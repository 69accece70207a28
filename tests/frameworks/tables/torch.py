"""What torch's layers and the recipes in torch are asked."""

import numpy as np

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import case, full

BACKENDS = ("torch",)
DTYPES = ("float64", "float32")

LOCKED = [at("input", 0.3, "gates", "time"), at("between_layers", 0.5, "time"), at("output", 0.4, "time")]
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
RNN = [at("input", 0.3, "time"), at("state.h", 0.4, "time"), at("output")]
WEIGHT = at("weight.recurrent", 0.5, "inputs")
TABLE = {"vocabulary": 7, "features": 4}
MODEL = {**TABLE, "units": 5, "layers": 3, "return_state": True}
STATES = {f"layer{layer}.{name}0": np.full((3, 5), 0.5) for layer in range(3) for name in "hc"}
ROWS = at("embedding.rows", 0.3, "batch", "features")
AWD = [
    ROWS,
    at("input", 0.3, "time"),
    WEIGHT,
    at("between_layers", 0.25, "time"),
    at("output", 0.4, "time"),
]
IMAGE, VOLUME = (np.random.default_rng(0).normal(size=shape) for shape in ((2, 3, 4, 5), (2, 3, 2, 2, 5)))
#: Locked and embedded dropout as published divide 0 by 0 there.
NAN = {"rate 1": "is not finite"}
EVERY = {"plain": case(rate=0.3)}

CASES = {
    ("dropout", "torch.nn.Dropout"): {
        **EVERY,
        "in place": case(rate=0.3, options={"inplace": True}),
        "compiled": case(rate=0.3, options={"compile": "aot_eager"}),
        "another compiler": case(rate=0.3, options={"compile": "xla"}, refused="option compile is .*, not 'xla'"),
        "shared": case(rate=0.3, shared=["time"], refused="shared"),
    },
    ("dropout", "torch.nn.functional.dropout"): EVERY,
    ("dropout", "torch.native_dropout"): EVERY,
    ("dropout", "torch.nn.Dropout1d"): {
        "time": case(rate=0.3, shared=["time"]),
        "features": case(rate=0.3, shared=["features"]),
        "nothing shared": case(rate=0.3, refused="shared"),
    },
    ("dropout", "torch.nn.Dropout2d"): {
        "time": case(rate=0.3, shared=["time"]),
        "channels": case(rate=0.5, shared=["height", "width"], inputs={"x": IMAGE}),
    },
    ("dropout", "torch.nn.Dropout3d"): {
        "channels": case(rate=0.5, shared=["depth", "height", "width"], inputs={"x": VOLUME}),
        "a sequence": case(rate=0.3, shared=["time"], refused="rank"),
    },
    ("dropout", "recipe.LockedDropout"): {
        "locked": case(rate=0.3, shared=["time"], differs=NAN),
        "nothing shared": case(rate=0.3, refused="shared"),
    },
    ("alpha_dropout", "torch.nn.AlphaDropout"): {**EVERY, "compiled": case(rate=0.3, options={"compile": "aot_eager"})},
    ("alpha_dropout", "torch.nn.functional.alpha_dropout"): EVERY,
    ("alpha_dropout", "torch.nn.FeatureAlphaDropout"): {"time": case(rate=0.3, shared=["time"])},
    ("gaussian_dropout", "recipe.GaussianDropout"): {"batch": case(rate=0.3, shared=["batch"])},
    ("gaussian_noise", "recipe.GaussianNoise"): {"plain": case(stddev=0.3)},
    ("masked_gaussian_noise", "recipe.MaskedGaussianNoise"): {"plain": case(rate=0.3, stddev=0.5)},
    ("lstm", "torch.nn.LSTM"): {
        "stack": full(at("between_layers"), at("output"), layers=3, states=True),
        "input": full(at("input", 0.3, "gates"), at("output")),
        "batch first": full(at("between_layers"), layers=2, options={"batch_first": True}),
        "compiled, run eagerly": full(at("between_layers"), at("output"), layers=3, options={"compile": "aot_eager"}),
        "an option of `compile`": full(options={"allow_rnn": True}, refused="without `compile` it does nothing"),
        "last step": case(units=4),
        "both ways": full(*TWO_WAYS, layers=2, bidirectional=True),
        "last step, both ways": case(at("output"), units=4, bidirectional=True),
        "projection": full(*TWO_WAYS, layers=2, projection=2, bidirectional=True),
        "forget bias": full(projection=3, forget_bias=1.0),
        "packed": full(at("between_layers"), at("output"), layers=2, padding="zeros"),
        "packed, both ways": full(*TWO_WAYS, layers=2, bidirectional=True, padding="zeros"),
        "state": full(at("state.h", 0.3, "gates"), refused="no dropout at 'state.h'"),
        "a mask a gate": full(at("input", 0.3), refused="shared"),
        "locked": full(at("between_layers", 0.3, "time"), layers=2, refused="shared"),
        "unscaled": full(at("output", 0.3, scale="none"), refused="scale"),
        "gaussian": full(at("output", 0.3, noise="gaussian"), refused="no gaussian noise"),
        "peepholes": full(peepholes=True, refused="no setting peepholes"),
        "backwards": full(go_backwards=True, refused="no setting go_backwards"),
        "repeated": full(padding="repeat", refused="padded with zeros"),
    },
    ("lstm", "torch.nn.LSTMCell"): {
        "stack": full(*STEPWISE, layers=3, states=True),
        "forget bias": full(at("state.h", 0.3, "gates", "time"), forget_bias=1.0),
        "a mask a gate": full(at("state.h", 0.3, "time"), refused="reads one x and one h for all gates"),
        "both ways": full(bidirectional=True, refused="no setting bidirectional"),
        "projection": full(projection=2, refused="no setting projection"),
    },
    ("lstm", "recipe.lstm_loop"): {
        "stack": full(*STEPWISE, layers=3, states=True),
        "gatewise": full(*GATEWISE, layers=2),
        "gaussian": full(at("state.h", 0.3, "time", noise="gaussian")),
        "peepholes": full(at("output"), peepholes=True, cell_clip=0.2, forget_bias=1.0),
        "projection": full(
            at("state.h", 0.3, "gates"), at("output"), layers=2, projection=3, projection_clip=0.1
        ),
        "backwards": full(at("input", 0.3, "gates"), at("output"), go_backwards=True),
        "leaving": full(at("state.h", 0.3, "gates"), at("state.c"), at("output"), drop_leaving_state=True),
        "hard": full(recurrent_activation="hard_sigmoid"),
        "hard, Keras 2": full(recurrent_activation="hard_sigmoid_keras2"),
        "padding": full(padding="zeros", refused="no setting padding"),
    },
    ("lstm", "recipe.LockedDropout"): {
        "locked": full(*LOCKED, layers=3, states=True, differs=NAN),
        "nothing shared": full(at("output", 0.3), refused="shared"),
    },
    ("lstm", "recipe.WeightDrop"): {
        "rows": full(WEIGHT),
        "columns": full(at("weight.recurrent", 0.5, "gates", "units")),
        "stack": full(at("weight.recurrent", 0.5), at("between_layers"), layers=3, states=True),
        "both ways": full(at("weight.recurrent"), *TWO_WAYS, layers=2, bidirectional=True),
        # In torch 2.13, inside parametrize.cached, one mask a call reaches the weights and the gradient the raw ones.
        "parametrised rows": full(WEIGHT, options={"wrap": "parametrize"}),
        "parametrised columns": full(at("weight.recurrent", 0.5, "gates", "units"), options={"wrap": "parametrize"}),
        "parametrised stack": full(at("weight.recurrent", 0.5), layers=3, states=True, options={"wrap": "parametrize"}),
        "as a state": full(at("state.h", 0.5, "gates", "batch", "time"), options={"as_state": "columns"}),
        "a hook": full(WEIGHT, options={"wrap": "hook"}, refused="option wrap is .*, not 'hook'"),
        "always, unshared": full(at("weight.recurrent"), options={"always": True}, refused="only the variational"),
        "gates alone": full(at("weight.recurrent", 0.5, "gates"), refused="shared"),
        "a state": full(at("state.h", 0.5, "batch", "time"), refused="drops at weight.recurrent"),
        "a state of gates": full(at("state.h", 0.5, "batch", "time"), options={"as_state": "columns"}, refused="shared"),
        "a state of x": full(WEIGHT, options={"as_state": "x"}, refused="option as_state is .*, not 'x'"),
    },
    ("lstm", "recipe.AWD_LSTM"): {
        "stack": full(at("weight.recurrent", 0.5), *LOCKED, layers=3, states=True, differs=NAN),
        "layer": full(WEIGHT, at("output", 0.3, "time")),
    },
    ("gru", "torch.nn.GRU"): {
        "layer": full(at("input", 0.3, "gates"), at("output"), states=True),
        "last step": case(units=4),
        "reset before": full(reset_after=False, refused="resets after"),
        "state": full(at("state.h", 0.3, "gates"), refused="no dropout at 'state.h'"),
    },
    ("gru", "recipe.gru_loop"): {
        "layer": full(*RNN, states=True),
        "reset before": full(at("state.h", 0.4, "gates"), at("input", 0.2), reset_after=False, states=True),
    },
    ("simple_rnn", "torch.nn.RNN"): {
        "layer": full(at("input", 0.3), at("output"), states=True),
        "locked": full(at("input", 0.3, "time"), refused="shared"),
    },
    ("simple_rnn", "recipe.rnn_loop"): {"layer": full(*RNN, states=True)},
    ("zoneout_lstm", "recipe.zoneout_lstm"): {
        "both states": full(at("state.h", 0.3, noise="zoneout"), at("state.c", 0.4, noise="zoneout")),
    },
    ("embedding", "torch.nn.Embedding"): {
        "plain": case(**TABLE),
        "rows": case(ROWS, **TABLE, refused="no dropout at 'embedding.rows'"),
    },
    ("embedding", "recipe.embedded_dropout"): {
        "rows": case(ROWS, **TABLE, differs=NAN),
        "elements": case(at("embedding.rows", 0.3), **TABLE, refused="shared"),
    },
    ("awd_lstm", "recipe.AWD_LSTM"): {
        "model": case(*AWD, **MODEL, differs=NAN),
        "tied": case(*AWD, **MODEL, tied=True),
        "initial states": case(*AWD, **MODEL, inputs=STATES),
        "one layer": case(at("weight.recurrent", 0.5), AWD[1], **{**MODEL, "layers": 1}),
        "columns": case(at("weight.recurrent", 0.5, "gates", "units"), **MODEL),
        "not locked": case(at("output"), **MODEL, refused="shared"),
        "gates alone": case(at("weight.recurrent", 0.3, "units"), **MODEL, refused="shared"),
    },
    ("encoder_decoder", "torch.nn.LSTM"): {
        "own weights": full(*HALVES, layers=2),
        "tied": full(*HALVES, layers=2, tied=True),
    },
    ("encoder_decoder", "torch.nn.LSTMCell"): {"tied": full(*HALVES, layers=2, tied=True)},
    ("encoder_decoder", "recipe.lstm_loop"): {"own weights": full(*HALVES, layers=2)},
    ("encoder_decoder", "recipe.LockedDropout"): {"locked": full(at("encoder.input", 0.3, "gates", "time"), differs=NAN)},
}  # fmt: skip
