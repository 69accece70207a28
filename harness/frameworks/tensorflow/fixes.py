"""What to do about faults, in TensorFlow's words."""

from harness.frameworks.contract.framework import Fix

SPLIT = "split the canonical weights as {canonical} and concatenate them in the order that your code reads"
KEEP = "tf.nn.dropout(keep_prob=…) and DropoutWrapper take the keep probability"
RATE = "tf.nn.dropout and Keras take the rate; tf.compat.v1's DropoutWrapper takes the keep probability"

FIXES = (
    Fix("gates.order*", "TensorFlow 1's cells have the order i, j, f, o: " + SPLIT, {"gates": "ifgo"}, "tensorflow<2"),
    Fix(
        "gates.order*",
        "Keras' order is i, f, c, o (TensorFlow 1's cells: i, j, f, o): " + SPLIT,
        when={"gates": "ifgo"},
    ),
    Fix("gates.order*", "Keras' order is z, r, h: " + SPLIT, when={"gates": "zrn"}),
    Fix("bias.forget +*", "pass forget_bias=0.0 to the cell", needs="tensorflow<2"),
    Fix(
        "bias.forget +*",
        "pass forget_bias=0.0 (tf.compat.v1's cells), or set the bias after building: Keras' unit_forget_bias stores a 1 in it",
    ),
    Fix("mask.absent", "pass the keep probability of training, not 1.0", needs="tensorflow<2"),
    Fix("mask.absent", "pass training=True: Keras layers do not drop by default"),
    Fix("mask.in evaluation", "pass keep_prob=1.0 for evaluation", needs="tensorflow<2"),
    Fix("mask.in evaluation", "pass training=False on, rather than a constant True; tf.nn.dropout always drops"),
    Fix("mask.fresh over time", "give the dropout noise_shape=(batch, 1, features)", needs="tensorflow<2"),
    Fix(
        "mask.fresh over time",
        "give tf.nn.dropout or the dropout layer noise_shape=(batch, 1, features), or use the recurrent layer's own dropout",
    ),
    Fix("scale.rate*", KEEP, needs="tensorflow<2"),
    Fix("decisions.rate*", KEEP, needs="tensorflow<2"),
    Fix("scale.rate*", RATE),
    Fix("decisions.rate*", RATE),
    Fix(
        "gradient.stopped everywhere",
        "return the framework's own tensors: no .numpy(), tf.stop_gradient or np.asarray on the way",
    ),
    Fix(
        "precision.float32", "pass dtype=tf.float64 to every tensor and variable that you make: the default is float32"
    ),
    Fix(
        "precision.float16",
        "call tf.config.experimental.enable_tensor_float_32_execution(False)",
        needs="tensorflow>=2.4",
    ),
)
