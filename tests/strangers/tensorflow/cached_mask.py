import tensorflow as tf


class CachedDropout(tf.Module):
    """Keeps the mask so that all steps of a sequence get the same one."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate
        self._mask = None

    def mask_for(self, x):
        if self._mask is None:
            ones = tf.ones((x.shape[0], x.shape[-1]), x.dtype)
            self._mask = tf.nn.dropout(ones, self.rate)
        return self._mask

    def reset(self):
        self._mask = None


class Net:
    def __init__(self, rate):
        self.dropout = CachedDropout(rate)

    def __call__(self, x, w, training):
        units = w["recurrent_kernel"].shape[0]
        h = tf.zeros((x.shape[0], units), x.dtype)
        ys = []
        for t in range(x.shape[1]):
            xt = x[:, t]
            if training:
                xt = xt * self.dropout.mask_for(xt)
            a = xt @ w["kernel"] + w["bias"]
            b = h @ w["recurrent_kernel"] + w["recurrent_bias"]
            az, ar, an = tf.split(a, 3, 1)
            bz, br, bn = tf.split(b, 3, 1)
            z, r = tf.sigmoid(az + bz), tf.sigmoid(ar + br)
            h = z * h + (1 - z) * tf.tanh(an + r * bn)
            ys.append(h)
        return tf.stack(ys, 1), h


def run(case):
    net = case.keep(lambda: Net(case.rate("input")))
    y, h = net(case.inputs["x"], case.weights, case.training)
    return {"y": y, "h": h}
