"""What TensorFlow's functions and operators, and the recipes in TensorFlow, are asked; each eagerly and traced."""

from collections.abc import Mapping

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import Case, case, full, halves

BACKENDS = ("tensorflow",)
DTYPES = ("float32",)

FUSED = [at("input", 0.3, "gates", "time"), at("between_layers", 0.5, "layers"), at("output", 0.4, "time")]
FREE = [at("input", 0.3, "batch"), at("state.h", 0.25, "time"), at("state.c", 0.2, "layers"), *FUSED[1:]]

NO_ONE = {"rate 1": "refuses rate 1|divides by 1 - rate"}

# The Keras cell inside of the wrapper; its state is a list, so c is dropped too.
STEP = [at("input", 0.3, "gates"), at("state.h", 0.25, "gates"), at("output", 0.4)]
BOTH = [*STEP, at("state.c", 0.25)]
ONCE = ("batch", "time")
VARIATIONAL = [at("input", 0.3, "gates", *ONCE), at("state.h", 0.25, "gates", *ONCE), at("output", 0.4, *ONCE)]
VARIATIONAL_BOTH = [*VARIATIONAL, at("state.c", 0.25, *ONCE)]
WRAPPED = {"drop_leaving_state": True}
FILTERED = {"dropout_state_filter_visitor": "h"}


def both(**cases: Case) -> dict[str, Case]:
    """Each case eagerly, and traced; of these, those behind the first one before a release only, for tracing is slow."""
    asked = [name for name, each in cases.items() if not each.refused]
    traced = {f"{name}, traced": _traced(cases[name], exhaustive=name != asked[0]) for name in asked}
    return {name.replace("_", " "): each for name, each in {**cases, **traced}.items()}


def _traced(each: Case, exhaustive: bool) -> Case:
    # What is known to differ is asked of the first case alone.
    return Case(
        **{**vars(each), "options": {**each.options, "tf_function": True}, "differs": {}, "exhaustive": exhaustive}
    )


CASES: Mapping[tuple[str, str], Mapping[str, Case]] = {
    ("dropout", "tf.nn.dropout"): {
        **both(shared=case(rate=0.3, shared=["time"], differs=NO_ONE)),
        "rate 1": case(rate=1.0, refused=r"refuses rate 1: .*range \[0, 1\)"),
        "1.3": case(rate=0.3, shared=["time"], environment="tf1.3"),
        "1.8": case(rate=0.3, environment="tf1.8"),
        "2.0": case(rate=0.3, environment="tf2.0", options={"tf_function": True}),
        "rate 1 in 1.8": case(rate=1.0, environment="tf1.8", refused="refuses rate 1"),
    },
    ("dropout", "tf.nn.experimental.stateless_dropout"): {
        **both(plain=case(rate=0.3, differs=NO_ONE)),
        "a tensor": case(rate=0.3, options={"tensor_rate": True}),
    },
    ("dropout", "recipe.Dropout"): {
        **both(plain=case(rate=0.3)),
        "rate 1": case(rate=1.0, refused="divides by 1 - rate"),
        "1.8": case(rate=0.3, environment="tf1.8", refused="needs tensorflow>=2, and this is 1.8"),
    },
    ("gaussian_dropout", "recipe.GaussianDropout"): both(shared=case(rate=0.3, shared=["time"])),
    ("gaussian_noise", "recipe.GaussianNoise"): both(plain=case(stddev=0.3)),
    ("masked_gaussian_noise", "recipe.MaskedGaussianNoise"): both(plain=case(rate=0.3, stddev=0.5)),
    ("lstm", "tf.raw_ops.BlockLSTM"): {
        **both(stack=full(*FUSED, layers=3)),
        "state": full(at("state.h"), refused="no dropout at 'state.h'"),
        "a mask a gate": full(at("input"), refused="one input for all gates"),
    },
    ("lstm", "recipe.lstm_loop"): {
        **both(stack=full(*FREE, layers=3), last_step=case(at("state.h", 0.4), at("output", 0.4), units=4)),
        "both ways": full(bidirectional=True, refused="no setting bidirectional"),
    },
    ("lstm", "tf.nn.RNNCellDropoutWrapper"): {
        # keep_prob is rounded to float32, also in a float64 layer.
        "traced": full(*BOTH, **WRAPPED, options={"unroll": True, "tf_function": True},
                       differs={"rate 1": "no rate 1", "float64": "e.06 times its bound"}),
        "variational": full(*VARIATIONAL_BOTH, **WRAPPED, options={"variational": True}),
        "2.0": full(*BOTH, **WRAPPED, environment="tf2.0"),
        "2.0, h alone": full(*STEP, **WRAPPED, environment="tf2.0", options={**FILTERED, "tf_function": True}),
        "2.0, variational": full(
            *VARIATIONAL_BOTH, **WRAPPED, environment="tf2.0", options={"variational": True, "tf_function": True}
        ),
        "2.10": full(*BOTH, **WRAPPED, environment="tf2.10", options={"tf_function": True}),
        "2.10, h alone": full(*STEP, **WRAPPED, environment="tf2.10", options={**FILTERED, "unroll": True}),
        "2.10, variational": full(
            VARIATIONAL[1], **WRAPPED, environment="tf2.10", options={"variational": True, **FILTERED}
        ),
        "1.8": full(environment="tf1.8", refused="needs tensorflow>=2, and this is 1.8"),
        "layers": full(**WRAPPED, layers=2, environment="tf2.0", refused="run here as one layer"),
        "c spared": full(*BOTH, **WRAPPED, environment="tf2.0", options=FILTERED,
                         refused="spares c, and the case drops it"),
        "a filter of c": full(*STEP, **WRAPPED, environment="tf2.0", options={"dropout_state_filter_visitor": "c"},
                              refused="is null or h, not 'c'"),
        "hard": full(recurrent_activation="hard_sigmoid", environment="tf2.0", refused="hard sigmoid of slope 1/5"),
    },
    ("encoder_decoder", "tf.raw_ops.BlockLSTM"): both(own_weights=full(*halves(*FUSED), layers=2)),
    ("encoder_decoder", "recipe.lstm_loop"): both(
        own_weights=full(*halves(*FREE), layers=2),
        tied=case(at("decoder.state.h", 0.3, "time"), units=4, tied=True, return_state=True),
    ),
}  # fmt: skip
