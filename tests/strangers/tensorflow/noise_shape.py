import tensorflow as tf


@tf.function(jit_compile=False)
def sequence_dropout(x: tf.Tensor, rate: float) -> tf.Tensor:
    shape = tf.shape(x)
    return tf.nn.dropout(x, rate=rate, noise_shape=[shape[0], 1, shape[2]])


def run(case):
    x = case.inputs["x"]
    return {"y": sequence_dropout(x, case.config["rate"]) if case.training else tf.identity(x)}
