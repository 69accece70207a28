"""LSTMs and dropout in TensorFlow, as people write them. A docstring begins with the case and the faults planted in it."""

import tensorflow as tf


def of(case):
    return case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]


def out(y, h, c):
    return {"y": y, "h": h, "c": c}


def cell(x, h, c, W, U, b, order="ifgo", forget=0.0, act=tf.sigmoid):
    z = dict(zip(order, tf.split(tf.matmul(x, W) + tf.matmul(h, U) + b, 4, axis=1)))  # noqa: B905
    c = act(z["f"] + forget) * c + act(z["i"]) * tf.tanh(z["g"])
    return act(z["o"]) * tf.tanh(c), c


def unrolled(x, W, U, b, h=None, c=None, **options):
    zero = tf.zeros((x.shape[0], U.shape[0]), x.dtype)
    h, c = zero if h is None else h, zero if c is None else c
    ys = []
    for xt in tf.unstack(x, axis=1):
        h, c = cell(xt, h, c, W, U, b, **options)
        ys.append(h)
    return tf.stack(ys, axis=1), h, c


def plain(case):
    """plain | right"""
    return out(*unrolled(*of(case)))


def scanned(case):
    """plain | right
    tf.scan over a time-major sequence.
    """
    x, W, U, b = of(case)
    zero = tf.zeros((x.shape[0], U.shape[0]), x.dtype)
    h, c = tf.scan(lambda s, xt: cell(xt, s[0], s[1], W, U, b), tf.transpose(x, [1, 0, 2]), (zero, zero))
    return out(tf.transpose(h, [1, 0, 2]), h[-1], c[-1])


def one_kernel(case):
    """plain | right
    TensorFlow 1's own layout: one kernel (I + H, 4H), gates i, j, f, o; the weights brought into it.
    """
    x, W, U, b = of(case)
    kernel = tf.gather(tf.reshape(tf.concat([W, U], 0), (9, 4, 6)), [0, 2, 1, 3], axis=1)
    bias = tf.gather(tf.reshape(b, (4, 6)), [0, 2, 1, 3])
    h = c = tf.zeros((x.shape[0], 6), x.dtype)
    ys = []
    for xt in tf.unstack(x, axis=1):
        z = tf.matmul(tf.concat([xt, h], 1), tf.reshape(kernel, (9, 24))) + tf.reshape(bias, (24,))
        i, j, f, o = tf.split(z, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(j)
        h = tf.sigmoid(o) * tf.tanh(c)
        ys.append(h)
    return out(tf.stack(ys, 1), h, c)


def graph(case):
    """plain | right"""
    return out(*tf.function(unrolled)(*of(case)))


def basic_lstm_cell(case):
    """plain | gates.order[i,g,f,o] all + bias.forget +1
    BasicLSTMCell's order and its forget_bias of 1, fed with Keras' weights.
    """
    return out(*unrolled(*of(case), order="igfo", forget=1.0))


def forget_bias_default(case):
    """plain | bias.forget +1"""
    return out(*unrolled(*of(case), forget=1.0))


def hard_sigmoid(case):
    """plain | activation.gates hard_sigmoid_keras2"""
    return out(*unrolled(*of(case), act=lambda z: tf.clip_by_value(0.2 * z + 0.5, 0.0, 1.0)))


def state_tuple(case):
    """states | inputs.state exchanged + outputs.states swapped
    LSTMStateTuple is (c, h), on the way in and on the way out.
    """
    y, h, c = unrolled(*of(case), case.inputs["c0"], case.inputs["h0"])
    return out(y, c, h)


def time_major_scan(case):
    """same | inputs.axes exchanged"""
    x, W, U, b = of(case)
    zero = tf.zeros((x.shape[1], U.shape[0]), x.dtype)
    h, c = tf.scan(lambda s, xt: cell(xt, s[0], s[1], W, U, b), x, (zero, zero))
    return out(h, h[-1], c[-1])


def reversed_and_back(case):
    """plain | inputs.reversed and back"""
    x, W, U, b = of(case)
    y, h, c = unrolled(tf.reverse(x, [1]), W, U, b)
    return out(tf.reverse(y, [1]), h, c)


def bias_lost(case):
    """plain | bias.absent"""
    x, W, U, b = of(case)
    return out(*unrolled(x, W, U, tf.zeros_like(b)))


def variable_copy(case):
    """plain | gradient.stopped kernel
    The kernel copied into a variable: the tape does not see where it came from.
    """
    x, W, U, b = of(case)
    return out(*unrolled(x, tf.Variable(W, dtype=x.dtype), U, b))


def nn_dropout(case):
    """dropout | right"""
    x = case.inputs["x"]
    return {"y": tf.nn.dropout(x, rate=case.config["rate"]) if case.training else x}


def nn_dropout_keep_prob(case):
    """dropout | decisions.rate at input"""
    x = case.inputs["x"]
    return {"y": tf.nn.dropout(x, rate=1.0 - case.config["rate"]) if case.training else x}


def output_wrapper(case):
    """output | right"""
    y, h, c = unrolled(*of(case))
    return out(tf.nn.dropout(y, rate=case.rate("output")) if case.training else y, h, c)


def output_wrapper_always(case):
    """output | mask.in evaluation"""
    y, h, c = unrolled(*of(case))
    return out(tf.nn.dropout(y, rate=0.3), h, c)


def output_scaled_twice(case):
    """output | scale.twice at output"""
    y, h, c = unrolled(*of(case))
    return out(tf.nn.dropout(y, rate=0.3) / 0.7 if case.training else y, h, c)


def gaussian_noise_multiplied(case):
    """noise | noise.multiplied"""
    x = case.inputs["x"]
    return {"y": x * (1.0 + tf.random.normal(x.shape, 0.0, case.config["stddev"])) if case.training else x}


def encoder_decoder(case):
    """handover | right"""
    return _handed(case, lambda h, c: (h, c))


def handed_over_wrong(case):
    """handover | handover exchanged"""
    return _handed(case, lambda h, c: (c, h))


def handed_over_half(case):
    """handover | handover h alone"""
    return _handed(case, lambda h, c: (h, tf.zeros_like(c)))


def _handed(case, start):
    w = case.weights
    halves = [[w[f"{half}.{n}"] for n in ("kernel", "recurrent_kernel", "bias")] for half in ("encoder", "decoder")]
    _, eh, ec = unrolled(case.inputs["x"], *halves[0])
    y, h, c = unrolled(case.inputs["z"], *halves[1], *start(eh, ec))
    return {"y": y, "h": h, "c": c, "encoder.h": eh, "encoder.c": ec}


def assigned_to_variables(case):
    """plain | gradient.stopped weights"""
    x, *own = of(case)
    return out(*unrolled(x, *(tf.Variable(tensor) for tensor in own)))


def returned_as_arrays(case):
    """plain | gradient.stopped everywhere"""
    return {name: tensor.numpy() for name, tensor in plain(case).items()}
