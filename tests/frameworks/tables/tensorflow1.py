"""What TensorFlow 1's cells and its own Keras are asked, each in an environment of its version.

Building a graph is most of a question's time, so what repeats another case's path is asked before a release only.
"""

from collections.abc import Mapping

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import Case, case, full

BACKENDS = ("tensorflow",)
DTYPES = ("float32",)

ONCE = ("batch", "time")
STEP = [at("input", 0.3, "gates"), at("state.h", 0.25, "gates"), at("output", 0.4)]
BOTH = [*STEP, at("state.c", 0.25)]
VARIATIONAL = [at("input", 0.3, "gates", *ONCE), at("state.h", 0.25, "gates", *ONCE), at("output", 0.4, *ONCE)]
VARIATIONAL_BOTH = [*VARIATIONAL, at("state.c", 0.25, *ONCE)]
BETWEEN = at("between_layers", 0.5)
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time")]
TIED = [at("input", 0.3, "gates", "time"), at("state.h", 0.25, "gates", "time")]
AROUND = [BETWEEN, at("output", 0.4, "time")]
MASKS = [*GATEWISE, at("output", 0.4)]
PAIR = [at("encoder.input", 0.3, "gates"), at("decoder.input", 0.3, "gates"), at("decoder.output", 0.5)]
PAIR_DEEP = [at("encoder.between_layers", 0.2), *PAIR, at("decoder.between_layers", 0.4)]

WRAPPED = {"drop_leaving_state": True}
STATIC, EAGER, V = {"runner": "static_rnn"}, {"eager": True}, {"variational": True}
FUNCTION, TWO = {"tf_function": True}, {"implementation": 2}
HARD = {"recurrent_activation": "hard_sigmoid_keras2"}
ELSEWHERE = "elsewhere the steps run one after"


def late(*dropout: Mapping[str, object], **words: object) -> Case:
    """A case that is asked before a release only."""
    return full(*dropout, **words, exhaustive=True)


def of(environment: str, **cases: Case) -> dict[str, Case]:
    """The cases of one environment, named after it."""
    return {
        f"{environment[2:]}, {name.replace('_', ' ')}": Case(**{**vars(each), "environment": environment})
        for name, each in cases.items()
    }


#: keep_prob lies in (0, 1], and it is rounded to float32, also in a float64 layer.
NO_ONE = {"rate 1": "no rate 1"}
CELL = {**NO_ONE, "float64": "e.0[67] times its bound"}
#: Eagerly the cells would be made anew.
ONCE_ONLY = {"a second call": "when run eagerly"}
#: At rate 1 a recurrent layer drops nothing, and a Dropout layer refuses it. In 1.3 a graph gives no float16 to the tap.
DROPS_NOTHING, REFUSES = {"rate 1": "inf times its bound"}, {"rate 1": "refuses rate 1"}
NO_BFLOAT, NO_HALF = {"bfloat16": "not bfloat16"}, {"float16": "knows no float16"}
CELLS, OLD, KERAS = "tf.contrib.rnn.", "tf.contrib.keras.layers.", "tf.keras.layers."

CASES = {
    ("lstm", CELLS + "LSTMCell"): {
        **of(
            "tf1.8",
            dynamic=full(*STEP, **WRAPPED, differs=CELL),
            static_eager=late(*STEP, **WRAPPED, options={**STATIC, **EAGER}),
            both_states_eager=full(*BOTH, **WRAPPED, options=EAGER),
            stack=late(*STEP, BETWEEN, **WRAPPED, layers=2),
            variational=full(*VARIATIONAL, **WRAPPED, options=V),
            variational_eager=late(VARIATIONAL[1], **WRAPPED, options={**V, **EAGER}),
            variational_stack_eager=late(
                *VARIATIONAL_BOTH, at("between_layers", 0.5, *ONCE), **WRAPPED, layers=2, options={**V, **EAGER}
            ),
            peepholes=full(STEP[0], peepholes=True, cell_clip=0.3, forget_bias=1.0),
            projection=full(*STEP, **WRAPPED, projection=3, projection_clip=0.2, options=STATIC),
            lengths=late(*STEP, **WRAPPED, padding="zeros"),
            no_leaving_state=full(*STEP, refused="set drop_leaving_state"),
            two_rates=full(STEP[1], at("state.c", 0.5), **WRAPPED, refused="one state_keep_prob"),
            rate_1=full(at("output", 1.0), refused="no rate 1"),
            parallel_static=full(options={**STATIC, "parallel_iterations": 4}, refused=ELSEWHERE),
            parallel_eager=full(options={**EAGER, "parallel_iterations": 4}, refused=ELSEWHERE),
        ),
        **of(
            "tf1.3",
            dynamic=full(*BOTH, **WRAPPED),
            stack=late(*BOTH, BETWEEN, **WRAPPED, layers=2, options=STATIC),
            variational=late(*VARIATIONAL_BOTH, **WRAPPED, options=V),
            peepholes=late(peepholes=True),
            eager=full(options=EAGER, refused="no eager execution"),
        ),
        "2.0": full(environment="tf2.0", refused="name an environment"),
        "current": full(refused="name an environment"),
    },
    ("lstm", CELLS + "BasicLSTMCell"): {
        **of(
            "tf1.8",
            last_step_eager=case(at("output", 0.5), units=4, options=EAGER, differs={**NO_ONE, **ONCE_ONLY}),
            peepholes=full(peepholes=True, refused="no setting peepholes"),
        ),
        **of("tf1.3", forget_bias=full(at("output", 0.5), forget_bias=1.0)),
    },
    ("lstm", CELLS + "LSTMBlockCell"): {
        **of(
            "tf1.8",
            forget_bias=full(*STEP, **WRAPPED, forget_bias=1.0, options=EAGER, differs={**NO_ONE, **ONCE_ONLY}),
            peepholes=late(*STEP, **WRAPPED, peepholes=True, options=STATIC),
        ),
        **of(
            "tf1.3",
            dynamic=late(*BOTH, **WRAPPED),
            another_clip=full(cell_clip=0.5, refused="clips c at 3"),
        ),
    },
    ("encoder_decoder", CELLS + "LSTMCell"): {
        **of(
            "tf1.8",
            dynamic=full(*PAIR, differs=CELL),
            stack=late(*PAIR_DEEP, layers=2),
            stack_eager=late(*PAIR_DEEP, layers=2, return_sequences=False, options={**STATIC, **EAGER}),
            encoder_state=full(at("encoder.state.h", 0.5, "gates"), refused="has no dropout at 'encoder.state.h'"),
            encoder_output=full(at("encoder.output", 0.5), refused="has no dropout at 'encoder.output'"),
        ),
        **of("tf1.3", static=late(*PAIR, options=STATIC)),
    },
    ("encoder_decoder", CELLS + "BasicLSTMCell"): {
        **of("tf1.8", tied_eager=full(*PAIR, tied=True, options=EAGER, differs={**CELL, **ONCE_ONLY})),
        **of(
            "tf1.3",
            tied=late(*PAIR, tied=True),
            half=full(*PAIR, tied=True, dtype="float16", refused="py_func, through which .* knows no float16"),
        ),
    },
    ("encoder_decoder", CELLS + "LSTMBlockCell"): of(
        "tf1.8",
        eager=full(*PAIR, options=EAGER, differs={**NO_ONE, **ONCE_ONLY}),
        dynamic=late(*PAIR),
    ),
    ("lstm", OLD + "LSTM"): {
        **of(
            "tf1.3",
            gatewise=full(*GATEWISE, differs={**DROPS_NOTHING, **NO_HALF}),
            implementation_1=late(*GATEWISE, options={"implementation": 1, "unroll": True}),
            implementation_2=late(*TIED, options=TWO),
            stack=late(*GATEWISE, *AROUND, layers=2, **HARD),
            backwards=late(*GATEWISE, go_backwards=True),
            repeated=late(*GATEWISE, padding="repeat"),
            both_ways=full(bidirectional=True, refused="neither takes nor gives states"),
        ),
        "1.8": full(environment="tf1.8", refused="has no tf.contrib.keras"),
        "current": full(refused="has no tf.contrib.keras"),
    },
    ("lstm", KERAS + "LSTM"): {
        **of(
            "tf1.8",
            gatewise=full(*GATEWISE, differs={**DROPS_NOTHING, **NO_BFLOAT}),
            implementation_2=late(*TIED, options=TWO),
            both_ways=late(*GATEWISE, bidirectional=True),
            repeated=late(*TIED, padding="repeat", options=TWO),
            implementation_0=full(*GATEWISE, options={"implementation": 0}, refused="has no implementation 0"),
        ),
        **of(
            "tf2.0",
            both_ways=full(*GATEWISE, bidirectional=True, options={"implementation": 1}),
            backwards=late(*TIED, go_backwards=True),
            anew=late(at("input", 0.3, "gates")),
            tied=late(*TIED),
            traced=full(*TIED, options=FUNCTION),
            implementation_1=late(*GATEWISE, options={"implementation": 1, "unroll": True}),
            stack_traced=late(*TIED, *AROUND, layers=2, options=FUNCTION),
        ),
        "current": full(refused="Keras 3 here"),
    },
    ("gru", OLD + "GRU"): of(
        "tf1.3",
        gatewise=late(*MASKS, reset_after=False, differs={**REFUSES, **NO_HALF}),
        implementation_2=late(*TIED, reset_after=False, options={**TWO, "unroll": True}),
        # The masked h is not what is blended here, other than later on (test_tensorflow1.py).
        masked_h=late(TIED[1], reset_after=False, options=TWO),
        reset_after=full(refused="resets before the product"),
    )
    | {"1.8": full(environment="tf1.8", refused="has no tf.contrib.keras")},
    ("gru", KERAS + "GRU"): {
        **of(
            "tf1.8",
            gatewise=full(*MASKS, differs={**REFUSES, **NO_BFLOAT}),
            implementation_0=full(options={"implementation": 0}, refused="has no implementation 0"),
        ),
        **of(
            "tf2.0",
            anew=late(at("input", 0.3, "gates")),
            implementation_1=late(*GATEWISE, reset_after=False, options={"implementation": 1, **FUNCTION}),
        ),
        **of("tf2.10", gatewise=late(*GATEWISE, reset_after=False)),
    },
    ("simple_rnn", OLD + "SimpleRNN"): of(
        "tf1.3",
        gatewise=late(*MASKS, differs={**REFUSES, **NO_HALF}),
        implementation_1=late(*GATEWISE, options={"implementation": 1}),
    ),
    ("simple_rnn", KERAS + "SimpleRNN"): {
        **of("tf1.8", gatewise=full(*MASKS, differs={**REFUSES, **NO_BFLOAT})),
        **of("tf2.0", traced=late(*MASKS, options=FUNCTION)),
    },
}
