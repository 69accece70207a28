import tensorflow as tf


class DropoutMask:
    def __init__(self, keep_prob, shape, dtype):
        random_tensor = keep_prob + tf.random.uniform(shape, dtype=dtype)
        self.value = tf.floor(random_tensor) / keep_prob


class Elman:
    def __init__(self, w, u, b):
        self.w, self.u, self.b = w, u, b

    def forward(self, xs, keep_prob):
        h = tf.zeros([xs.shape[0], self.u.shape[0]], xs.dtype)
        if keep_prob < 1:
            mask = DropoutMask(keep_prob, (xs.shape[0], xs.shape[2]), xs.dtype).value
            xs = xs / keep_prob * mask[:, None, :]
        out = []
        for t in range(xs.shape[1]):
            h = tf.tanh(tf.matmul(xs[:, t], self.w) + tf.matmul(h, self.u) + self.b)
            out += [h]
        return tf.stack(out, axis=1), h


def run(case):
    net = Elman(case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"])
    y, h = net.forward(case.inputs["x"], 1 - case.rate("input"))
    return {"y": y, "h": h}
