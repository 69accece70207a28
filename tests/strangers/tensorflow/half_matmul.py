import tensorflow as tf


class FastElman(tf.Module):
    """Matrix products in half precision for the tensor cores, the rest as it comes."""

    def mm(self, a, b):
        return tf.cast(tf.matmul(tf.cast(a, tf.float16), tf.cast(b, tf.float16)), a.dtype)

    def __call__(self, x, w, rate):
        h = tf.zeros((x.shape[0], w["bias"].shape[0]), x.dtype)
        ys = []
        for xt in tf.unstack(x, axis=1):
            h = tf.tanh(self.mm(xt, w["kernel"]) + self.mm(h, w["recurrent_kernel"]) + w["bias"])
            ys.append(h)
        y = tf.stack(ys, 1)
        return tf.nn.dropout(y, rate) if rate else y, h


def run(case):
    y, h = FastElman()(case.inputs["x"], case.weights, case.rate("output"))
    return {"y": y, "h": h}
