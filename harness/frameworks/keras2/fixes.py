"""What to do about faults, in the words of Keras 2: tf_keras, and TensorFlow's own Keras up to 2.15."""

from harness.frameworks.contract.framework import Fix
from harness.frameworks.keras3.fixes import COMMON

FIXES = (
    Fix(
        "activation.gates*",
        "set recurrent_activation='sigmoid', the default since Keras 2.3",
        when={"right": "sigmoid"},
    ),
    Fix(
        "activation.gates*",
        "set recurrent_activation='hard_sigmoid', which is 0.2 z + 0.5 in Keras 2",
        when={"right": "hard_sigmoid_keras2"},
    ),
    Fix(
        "activation.gates*",
        "pass recurrent_activation=lambda z: tf.nn.relu6(z + 3.0) / 6.0: 'hard_sigmoid' is 0.2 z + 0.5 in Keras 2",
        when={"right": "hard_sigmoid"},
    ),
    Fix("gates.reset before", "pass reset_after=True: the default of Keras 2.0 and TensorFlow 1 is False"),
    Fix("gates.reset after", "pass reset_after=False: the default has been True since TensorFlow 2"),
    # There is no stateless_call. Measured with tf_keras 2.21 and TensorFlow 2.10 and 2.0: values and gradients are right.
    Fix(
        "gradient.stopped weights",
        "build the layer, then set the case's tensors in the place of its variables: layer.cell.kernel, "
        "layer.cell.recurrent_kernel and layer.cell.bias (of other layers layer.kernel …)",
    ),
    *COMMON,
)
