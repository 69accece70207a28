# -*- coding: utf-8 -*-
from __future__ import absolute_import, division, print_function

import tensorflow as tf


class BasicCell(tf.nn.rnn_cell.RNNCell):
    """BasicLSTMCell whose weights come from outside; gates i, j, f, o."""

    def __init__(self, num_units, kernel, bias, forget_bias=1.0):
        super(BasicCell, self).__init__()
        self._num_units = num_units
        self._w = kernel
        self._b = bias
        self._forget_bias = forget_bias

    @property
    def state_size(self):
        return tf.nn.rnn_cell.LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self):
        return self._num_units

    def call(self, inputs, state):
        c, h = state
        gate_inputs = tf.matmul(tf.concat([inputs, h], 1), self._w)
        gate_inputs = tf.nn.bias_add(gate_inputs, self._b)
        i, j, f, o = tf.split(value=gate_inputs, num_or_size_splits=4, axis=1)
        new_c = c * tf.sigmoid(f + self._forget_bias) + tf.sigmoid(i) * tf.tanh(j)
        new_h = tf.tanh(new_c) * tf.sigmoid(o)
        return new_h, tf.nn.rnn_cell.LSTMStateTuple(new_c, new_h)


def _reorder(w):
    i, f, g, o = tf.split(w, 4, axis=-1)
    return tf.concat([i, g, f, o], -1)


def run(case):
    kernel = tf.concat([_reorder(case.weights["kernel"]), _reorder(case.weights["recurrent_kernel"])], 0)
    cell = BasicCell(
        case.config["units"], kernel, _reorder(case.weights["bias"]), forget_bias=case.config["forget_bias"]
    )
    x = case.inputs["x"]
    keep_prob = 1.0 - case.rate("input")
    if keep_prob < 1.0:
        x = tf.nn.dropout(x, keep_prob=keep_prob)
    outputs, state = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=x.dtype)
    return {"y": tf.stack(outputs, axis=1), "h": state.h, "c": state.c}
