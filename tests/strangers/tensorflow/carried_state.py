import tensorflow as tf


class StreamingLSTM(tf.Module):
    def __init__(self, batch, units, rate, dtype):
        super().__init__()
        self.h = tf.Variable(tf.zeros((batch, units), dtype), trainable=False)
        self.c = tf.Variable(tf.zeros((batch, units), dtype), trainable=False)
        self.rate = rate

    def forward(self, x, kernel, recurrent, bias, training):
        h, c = tf.convert_to_tensor(self.h), tf.convert_to_tensor(self.c)
        out = []
        for t in range(x.shape[1]):
            zi, zf, zg, zo = tf.split(x[:, t] @ kernel + h @ recurrent + bias, 4, -1)
            c = tf.sigmoid(zf) * c + tf.sigmoid(zi) * tf.tanh(zg)
            h = tf.sigmoid(zo) * tf.tanh(c)
            out.append(h)
        self.h.assign(h)
        self.c.assign(c)
        y = tf.stack(out, 1)
        return (tf.nn.dropout(y, self.rate) if training else y), h, c


def run(case):
    x = case.inputs["x"]
    model = case.keep(lambda: StreamingLSTM(x.shape[0], case.config["units"], case.rate("output"), x.dtype))
    w = case.weights
    y, h, c = model.forward(x, w["kernel"], w["recurrent_kernel"], w["bias"], case.training)
    return {"y": y, "h": h, "c": c}
