"""What Keras 3's layers are asked, on TensorFlow and, before a release, on torch and JAX."""

from functools import partial

import numpy as np

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import case, full, halves

BACKENDS = ("tensorflow", "torch", "jax")
DTYPES = ("float32",)
#: A program that is given its draws is another one to XLA.
ANEW = ("jax",)

LOCKED = [at("input", 0.3, "gates", "time")]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time")]
STACKED = [*GATEWISE, at("between_layers", 0.5), at("output", 0.4, "time")]
IMAGE, VOLUME = (np.random.default_rng(0).normal(size=shape) for shape in ((2, 3, 4, 5), (2, 3, 2, 2, 5)))
TRACED = {"tf_function": True}
ONE = {"implementation": 1}
KERAS = "keras.layers."

#: The state of a layer's seed generator is an argument of the compiled function on JAX, so a further call is the caller's.
CALLED = {"jax: a second call": "not called twice"}
#: Recurrent layers make their masks in evaluation too, and use them in training alone.
MAKES = {"evaluation draws": "drew at"}
#: keras.backend.result_type knows no 64-bit float but on TensorFlow, so parts of the general loop are computed in float32.
PARTLY = "times its bound"
RECURRENT = {**MAKES, **CALLED, "torch: float64": PARTLY, "jax: float64": PARTLY}
#: The cells of LSTM and GRU use a mask of a rate below 1 alone: 1 drops nothing.
IGNORED = "inf times its bound"
LOOP = {**RECURRENT, "rate 1": IGNORED}
#: What is no loop over a cell there: a GRU on torch and JAX, an LSTM on torch.
GRU = {**MAKES, **CALLED, "jax: float64": PARTLY, "tensorflow: rate 1": IGNORED}
LSTM = {**GRU, "jax: rate 1": IGNORED}
#: A tape of a mask a gate has no place in a layer that draws one for all.
SHARES = "shares the mask over gates"
UNLIKE = {**MAKES, "own sites": "the site has", "tape taken": SHARES, "tape rules": SHARES}

drawing = partial(full, differs=MAKES)

CASES = {
    ("dropout", KERAS + "Dropout"): {
        "plain": case(rate=0.3, differs=CALLED),
        "shared": case(rate=0.3, shared=["time"]),
        "traced": case(rate=0.3, options=TRACED, only="tensorflow"),
        "operation by operation": case(rate=0.3, options={"jit": False}, only="jax"),
        "a flag": case(rate=0.3, options={"training": "tensor"}, refused="tf_function: true"),
        "a flag, traced": case(rate=0.3, options={**TRACED, "training": "tensor"}, refused="symbolic", only="tensorflow"),
        "jit": case(rate=0.3, options={"jit": True}, refused="on jax", only="tensorflow"),
        "tf.function": case(rate=0.3, options=TRACED, refused="on tensorflow", only="torch"),
    },
    ("dropout", KERAS + "SpatialDropout1D"): {
        "time": case(rate=0.3, shared=["time"], differs=CALLED),
        "nothing shared": case(rate=0.3, refused=r"shared over \[time\]"),
    },
    ("dropout", KERAS + "SpatialDropout2D"): {
        "channels": case(rate=0.5, shared=["height", "width"], inputs={"x": IMAGE}, differs=CALLED),
        "a sequence": case(rate=0.3, refused="rank 4"),
    },
    ("dropout", KERAS + "SpatialDropout3D"): {
        "channels": case(rate=0.5, shared=["depth", "height", "width"], inputs={"x": VOLUME}, differs=CALLED),
    },
    ("alpha_dropout", KERAS + "AlphaDropout"): {"batch": case(rate=0.3, shared=["batch"], differs=CALLED)},
    ("gaussian_dropout", KERAS + "GaussianDropout"): {
        "plain": case(rate=0.3, differs=CALLED),
        "shared": case(rate=0.3, shared=["time"], refused="no noise_shape"),
    },
    ("gaussian_noise", KERAS + "GaussianNoise"): {"plain": case(stddev=0.3, differs=CALLED)},
    ("lstm", KERAS + "LSTM"): {
        "locked": full(*LOCKED, differs=LSTM),
        "gatewise": drawing(*GATEWISE),
        "stack": drawing(*STACKED, layers=2),
        "stack, traced": drawing(*STACKED, layers=2, options=TRACED, only="tensorflow", exhaustive=True),
        "operation by operation": drawing(*GATEWISE, options={"jit": False}, only="jax"),
        "unrolled": case(GATEWISE[1], units=4, options={"unroll": True}, differs=MAKES),
        "implementation 1": drawing(GATEWISE[0], options={**ONE, "use_cudnn": False}),
        "backwards": drawing(*GATEWISE, go_backwards=True),
        "hard": drawing(*LOCKED, recurrent_activation="hard_sigmoid"),
        "repeated": drawing(*STACKED, layers=2, padding="repeat", exhaustive=True),
        "both ways": drawing(*STACKED, layers=2, bidirectional=True, exhaustive=True),
        "both ways, lengths": drawing(*GATEWISE, bidirectional=True, padding="zeros"),
        "a mask a gate": full(GATEWISE[0], differs=UNLIKE),
        "c": full(at("state.c"), refused="no dropout at 'state.c'"),
        "gaussian": full(at("input", 0.3, noise="gaussian"), refused="no gaussian noise"),
        "unscaled": full(at("input", 0.3, scale="none"), refused="no dropout without a scale"),
        "implementation 0": full(options={"implementation": 0}, refused="null, 1 or 2, not 0"),
        "the fast path": full(GATEWISE[0], options=ONE, refused="takes the list of four masks for one"),
        "peepholes": full(peepholes=True, refused="no setting peepholes"),
        "zeros": full(padding="zeros", refused="repeats the last output"),
        "Keras 2": full(recurrent_activation="hard_sigmoid_keras2", refused="recurrent_activation is hard_sigmoid, not"),
    },
    ("lstm", KERAS + "LSTMCell"): {
        "locked": full(*LOCKED, differs=LOOP),
        "stack": drawing(*STACKED, layers=2, options={"unroll": True}),
        "implementation 1": drawing(GATEWISE[0], options=ONE),
        "last step, both ways": case(*GATEWISE, units=4, bidirectional=True, differs=MAKES, exhaustive=True),
    },
    ("gru", KERAS + "GRU"): {
        "locked": full(*LOCKED, at("output"), differs=GRU),
        "gatewise": drawing(*GATEWISE, at("output", 0.4, "time"), exhaustive=True),
        "reset before": case(*GATEWISE, units=4, reset_after=False, options={"unroll": True}, differs=MAKES),
        "the fast path": full(GATEWISE[0], options=ONE, refused="list of three masks for one"),
    },
    ("simple_rnn", KERAS + "SimpleRNN"): {
        # Its step gives a float32 state back, which the scan that JAX makes of the loop refuses.
        "layer": full(*GATEWISE, at("output"), differs={**RECURRENT, "jax: float64": "must have equal types"}),
        "implementation 1": full(options=ONE, refused="option implementation is null, not 1"),
    },
    ("encoder_decoder", KERAS + "LSTM"): {
        "own weights": full(*halves(*STACKED), layers=2, differs=LOOP, exhaustive=True),
        "tied": case(*halves(*GATEWISE), units=4, tied=True, return_state=True, differs=MAKES),
        "tied, unlike": case(at("encoder.input", 0.3, "time"), units=4, tied=True, refused="one dropout"),
    },
    ("encoder_decoder", KERAS + "LSTMCell"): {
        "own weights": full(*halves(*STACKED), layers=2, differs=LOOP, exhaustive=True),
        "one layer": drawing(*halves(*GATEWISE)),
    },
}  # fmt: skip
