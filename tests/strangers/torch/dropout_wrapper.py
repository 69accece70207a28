# DropoutWrapper of tensorflow 1, in torch
import torch


def tf_dropout(x, keep_prob):
    random_tensor = keep_prob
    random_tensor = random_tensor + torch.rand(x.shape, dtype=x.dtype)
    binary_tensor = torch.floor(random_tensor)
    return torch.div(x, keep_prob) * binary_tensor


class LSTMCell(object):
    def __init__(self, kernel, recurrent_kernel, bias, forget_bias):
        self.matrix = torch.cat([kernel, recurrent_kernel])
        self.bias = bias
        self.forget_bias = forget_bias

    def __call__(self, inputs, state):
        (c_prev, m_prev) = state
        lstm_matrix = torch.matmul(torch.cat([inputs, m_prev], dim=1), self.matrix) + self.bias
        i, f, j, o = torch.chunk(lstm_matrix, 4, dim=1)
        c = torch.sigmoid(f + self.forget_bias) * c_prev + torch.sigmoid(i) * torch.tanh(j)
        m = torch.sigmoid(o) * torch.tanh(c)
        return m, (c, m)


class DropoutWrapper(object):
    def __init__(self, cell, input_keep_prob=1.0, output_keep_prob=1.0):
        self._cell = cell
        self._input_keep_prob = input_keep_prob
        self._output_keep_prob = output_keep_prob

    def __call__(self, inputs, state):
        if self._input_keep_prob < 1:
            inputs = tf_dropout(inputs, self._input_keep_prob)
        output, new_state = self._cell(inputs, state)
        if self._output_keep_prob < 1:
            output = tf_dropout(output, self._output_keep_prob)
        return output, new_state


def dynamic_rnn(cell, inputs, initial_state):
    state = initial_state
    outputs = []
    for t in range(inputs.shape[1]):
        output, state = cell(inputs[:, t, :], state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


def run(case):
    cell = LSTMCell(
        case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"], case.config["forget_bias"]
    )
    cell = DropoutWrapper(cell, 1 - case.rate("input"), 1 - case.rate("output"))
    zeros = torch.zeros(case.inputs["x"].shape[0], case.config["units"], dtype=case.inputs["x"].dtype)
    outputs, (c, h) = dynamic_rnn(cell, case.inputs["x"], (zeros, zeros))
    return {"y": outputs, "h": h, "c": c}
