"""What to do about faults, in Keras 3's words; Keras 2 has most of them too."""

from harness.frameworks.contract.framework import Fix

SPLIT = "split the canonical weights as {canonical} and concatenate them in the order that your code reads"

#: Of every Keras.
COMMON = (
    Fix("gates.order*", "Keras' order is i, f, c, o: " + SPLIT, when={"gates": "ifgo"}),
    Fix("gates.order*", "Keras' order is z, r, h: " + SPLIT, when={"gates": "zrn"}),
    Fix(
        "bias.forget +*", "set the bias after building the layer: unit_forget_bias=True stores a 1 in its forget block"
    ),
    Fix("mask.absent", "pass training=True: Keras layers do not drop by default"),
    Fix("mask.in evaluation", "pass training=False on, rather than a constant True"),
    Fix(
        "mask.fresh over time",
        "give the dropout layer noise_shape=(batch, 1, features), or use the recurrent layer's own dropout",
    ),
    Fix(
        "scale.rate*",
        "Keras' Dropout(rate), dropout= and recurrent_dropout= take the probability that an element is dropped",
    ),
    Fix(
        "decisions.rate*",
        "Keras' Dropout(rate), dropout= and recurrent_dropout= take the probability that an element is dropped",
    ),
    Fix("precision.float32", "pass dtype='float64' to the layer; Keras' default is float32 whatever its inputs are"),
)

FIXES = (
    Fix("activation.gates*", "leave recurrent_activation at 'sigmoid', its default", when={"right": "sigmoid"}),
    Fix("activation.gates*", "set recurrent_activation='hard_sigmoid'", when={"right": "hard_sigmoid"}),
    Fix(
        "activation.gates*",
        "pass recurrent_activation=lambda z: keras.ops.clip(0.2 * z + 0.5, 0, 1): 'hard_sigmoid' is z / 6 + 0.5 since Keras 3",
        when={"right": "hard_sigmoid_keras2"},
    ),
    Fix("gates.reset before", "pass reset_after=True, the default of Keras 3"),
    Fix("gates.reset after", "pass reset_after=False: the default of Keras 3 is True"),
    # https://keras.io/api/layers/base_layer/
    Fix(
        "gradient.stopped weights",
        "call the layer with the case's tensors as its variables: layer.stateless_call(weights, others, x)",
    ),
    *COMMON,
)
