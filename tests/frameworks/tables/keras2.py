"""What tf_keras's layers are asked. Sites share what each configuration really does, so that a tape can be replayed."""

import numpy as np

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import case, full, halves

BACKENDS = ("tensorflow",)
DTYPES = ("float32",)

ANEW = [at("input", 0.3, "gates")]
LOCKED = [at("input", 0.3, "gates", "time")]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time")]
STEPWISE = [at("input", 0.3), at("state.h", 0.25)]
AROUND = [at("between_layers", 0.5), at("output", 0.4, "time")]
TRACED = {"tf_function": True}
IMAGE, VOLUME = (np.random.default_rng(0).normal(size=shape) for shape in ((2, 3, 4, 5), (2, 3, 2, 2, 5)))
NO_ONE = {"rate 1": "refuses rate 1"}
KERAS = "tf_keras.layers."

CASES = {
    ("dropout", KERAS + "Dropout"): {
        "plain": case(rate=0.3, differs=NO_ONE),
        "shared": case(rate=0.3, shared=["time"], options=TRACED),
        "a flag": case(rate=0.3, options={**TRACED, "training": "tensor"}),
        "the global seed": case(rate=0.3, options={"layer_seed": False}),
        "rate 1": case(rate=1.0, refused="refuses rate 1"),
        "another flag": case(rate=0.3, options={"training": "maybe"}, refused="python or tensor"),
    },
    ("dropout", KERAS + "SpatialDropout1D"): {
        "time": case(rate=0.3, shared=["time"], differs=NO_ONE),
        "nothing shared": case(rate=0.3, refused=r"shared over \[time\]"),
    },
    ("dropout", KERAS + "SpatialDropout2D"): {
        "channels": case(rate=0.5, shared=["height", "width"], inputs={"x": IMAGE}, differs=NO_ONE),
    },
    ("dropout", KERAS + "SpatialDropout3D"): {
        "channels": case(rate=0.5, shared=["depth", "height", "width"], inputs={"x": VOLUME}, differs=NO_ONE),
    },
    ("alpha_dropout", KERAS + "AlphaDropout"): {"batch": case(rate=0.3, shared=["batch"])},
    ("gaussian_dropout", KERAS + "GaussianDropout"): {"traced": case(rate=0.3, options=TRACED)},
    ("gaussian_noise", KERAS + "GaussianNoise"): {
        "plain": case(stddev=0.3),
        "a flag": case(stddev=0.3, options={"training": "tensor"}, refused="tf_function: true"),
    },
    ("lstm", KERAS + "LSTM"): {
        "anew": full(*ANEW, differs=NO_ONE),
        "anew, traced": full(*ANEW, options=TRACED),
        "unrolled": full(*LOCKED, options={"unroll": True}),
        "implementation 1": full(GATEWISE[0], options={"unroll": True, "implementation": 1}),
        "gatewise": full(*GATEWISE),
        "stepwise": full(*STEPWISE, options=TRACED),
        "stack": full(*STEPWISE, *AROUND, layers=3, options=TRACED, exhaustive=True),
        "last step": case(*GATEWISE, units=4, options={**TRACED, "unroll": True}),
        "backwards": full(*STEPWISE, go_backwards=True, options=TRACED),
        "hard": full(*LOCKED, recurrent_activation="hard_sigmoid_keras2"),
        "repeated": full(*STEPWISE, *AROUND, layers=2, padding="repeat", options=TRACED, exhaustive=True),
        "both ways": full(*STEPWISE, *AROUND, layers=2, bidirectional=True, options=TRACED, exhaustive=True),
        "both ways, lengths": full(*GATEWISE, bidirectional=True, padding="zeros"),
        "last step, both ways": case(*ANEW, units=4, bidirectional=True),
        "rate 1": full(at("input", 1.0, "gates"), refused="refuses rate 1"),
        "implementation 0": full(options={"implementation": 0}, refused="null, 1 or 2, not 0"),
        "c": full(at("state.c"), refused="no dropout at 'state.c'"),
    },
    ("lstm", KERAS + "LSTMCell"): {
        "locked": full(*LOCKED, differs=NO_ONE),
        "anew": full(*ANEW, options=TRACED),
        "stack": full(*GATEWISE, *AROUND, layers=2, options={"implementation": 1}),
    },
    ("gru", KERAS + "GRU"): {
        "anew": full(*ANEW, at("output", 0.4), differs=NO_ONE),
        "reset before": full(*LOCKED, reset_after=False),
        "stepwise": full(*STEPWISE, options=TRACED),
    },
    ("simple_rnn", KERAS + "SimpleRNN"): {
        "gatewise": full(*GATEWISE, differs=NO_ONE),
        "last step": case(*STEPWISE, units=4, options=TRACED),
    },
    ("encoder_decoder", KERAS + "LSTM"): {
        "gatewise": full(*halves(*GATEWISE, *AROUND), layers=2, differs=NO_ONE),
        "stepwise": full(*halves(*STEPWISE, *AROUND), layers=2, options=TRACED, exhaustive=True),
    },
    ("encoder_decoder", KERAS + "LSTMCell"): {
        "tied": case(*halves(*GATEWISE), units=4, tied=True, return_state=True, differs=NO_ONE),
    },
}
