"""Loads a CuDNN-style GRU (r, z, n; transposed; two biases) and runs it step by step."""

import collections

import tensorflow as tf

CudnnParams = collections.namedtuple("CudnnParams", "w_ih w_hh b_ih b_hh")


def to_cudnn(weights):
    def t(m):
        z, r, n = tf.split(m, 3, axis=-1)
        return tf.concat([r, z, n], axis=-1)

    return CudnnParams(
        w_ih=tf.transpose(t(weights["kernel"])),
        w_hh=tf.transpose(t(weights["recurrent_kernel"])),
        b_ih=t(weights["bias"]),
        b_hh=t(weights["recurrent_bias"]),
    )


def gru_cell(x, hx, p):
    gi = tf.linalg.matvec(p.w_ih, x) + p.b_ih
    gh = tf.linalg.matvec(p.w_hh, hx) + p.b_hh
    i_r, i_i, i_n = tf.split(gi, 3, axis=-1)
    h_r, h_i, h_n = tf.split(gh, 3, axis=-1)
    resetgate = tf.sigmoid(i_r + h_r)
    inputgate = tf.sigmoid(i_i + h_i)
    newgate = tf.tanh(i_n + resetgate * h_n)
    return newgate + inputgate * (hx - newgate)


def run(case):
    p = to_cudnn(case.weights)
    x = tf.transpose(case.inputs["x"], [1, 0, 2])
    if case.rate("input"):
        x = tf.nn.dropout(x, rate=case.rate("input"))

    def step(hx, xt):
        return gru_cell(xt, hx, p)

    h0 = tf.zeros([x.shape[1], case.config["units"]], x.dtype)
    ys = tf.scan(step, x, initializer=h0)
    return {"y": tf.transpose(ys, [1, 0, 2]), "h": ys[-1]}
