"""AWD-LSTM language model, TF2 eager, after Merity et al. (2018)."""

import tensorflow as tf


def locked(x, rate):
    """One mask for all time steps."""
    if rate == 0:
        return x
    return x * tf.nn.dropout(tf.ones((x.shape[0], 1, x.shape[2]), x.dtype), rate)


def embedded_dropout(table, tokens, rate):
    if rate:
        table = table * tf.nn.dropout(tf.ones((table.shape[0], 1), table.dtype), rate)
    return tf.nn.embedding_lookup(table, tokens)


def lstm(x, kernel, recurrent, bias):
    h = c = tf.zeros((x.shape[0], recurrent.shape[0]), x.dtype)
    ys = []
    for x_t in tf.unstack(x, axis=1):
        i, f, g, o = tf.split(x_t @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        ys.append(h)
    return tf.stack(ys, axis=1), h, c


def run(case):
    w, layers = case.weights, case.config["layers"]
    x = embedded_dropout(w["embedding"], case.inputs["x"], case.rate("embedding.rows"))
    x = locked(x, case.rate("input"))
    out = {}
    for n in range(layers):
        rec = w["layer%d.recurrent_kernel" % n]
        if case.rate("weight.recurrent"):
            rec = tf.nn.dropout(rec, case.rate("weight.recurrent"))
        x, h, c = lstm(x, w["layer%d.kernel" % n], rec, w["layer%d.bias" % n])
        out["layer%d.h" % n], out["layer%d.c" % n] = h, c
        x = locked(x, case.rate("between_layers") if n < layers - 1 else case.rate("output"))
    out["y"] = tf.einsum("bth,hv->btv", x, w["decoder.kernel"]) + w["decoder.bias"]
    return out
