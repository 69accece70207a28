import tensorflow as tf


def build_step(P, training, rate):
    def step(carry, x):
        h, c = carry
        a = tf.einsum("bi,ij->bj", x, P["kernel"]) + tf.einsum("bh,hj->bj", h, P["recurrent_kernel"]) + P["bias"]
        i, f, g, o = tf.split(a, 4, axis=-1)
        c = tf.math.sigmoid(f) * c + tf.math.sigmoid(i) * tf.math.tanh(g)
        h = tf.math.sigmoid(o) * c
        return h, c

    return step


def run(case):
    x = tf.transpose(case.inputs["x"], (1, 0, 2))
    rate = case.rate("input")
    if rate > 0:
        x = tf.nn.dropout(x, rate=rate, noise_shape=(1, x.shape[1], x.shape[2]))
    z = tf.zeros((x.shape[1], case.config["units"]), x.dtype)
    hs, cs = tf.scan(build_step(case.weights, case.training, rate), x, (z, z))
    return {"y": tf.transpose(hs, (1, 0, 2)), "h": hs[-1], "c": cs[-1]}
