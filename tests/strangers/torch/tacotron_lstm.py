"""Conversion of a TF 1 checkpoint (BasicLSTMCell) into torch.

TF keeps one matrix [input; hidden] x 4 units with the gates i, j, f, o and adds forget_bias=1.0.
"""
import torch
import torch.nn.functional as F

FORGET_BIAS = 1.0


def convert_checkpoint(weights):
    """canonical (i, f, g, o) --> the variables of the checkpoint: 'kernel' and 'bias' in i, j, f, o"""
    def reorder(w):
        i, f, g, o = torch.chunk(w, 4, dim=-1)
        return torch.cat([i, g, f, o], dim=-1)

    kernel = torch.cat([reorder(weights["kernel"]), reorder(weights["recurrent_kernel"])], dim=0)
    bias = reorder(weights["bias"])
    # the forget bias isn't in the checkpoint
    units = bias.shape[0] // 4
    offset = torch.zeros_like(bias)
    offset[2 * units : 3 * units] = FORGET_BIAS
    return {"lstm_cell/kernel": kernel, "lstm_cell/bias": bias + offset}


class BasicLSTMCell:
    def __init__(self, variables, forget_bias=FORGET_BIAS):
        self.kernel = variables["lstm_cell/kernel"]
        self.bias = variables["lstm_cell/bias"]
        self._forget_bias = forget_bias

    def __call__(self, inputs, state):
        c, h = state
        concat = torch.cat([inputs, h], 1) @ self.kernel + self.bias
        i, j, f, o = torch.split(concat, concat.shape[1] // 4, dim=1)
        new_c = c * torch.sigmoid(f + self._forget_bias) + torch.sigmoid(i) * torch.tanh(j)
        new_h = torch.tanh(new_c) * torch.sigmoid(o)
        return new_h, (new_c, new_h)


def dynamic_rnn(cell, inputs, units, output_dropout, training):
    state = (inputs.new_zeros(inputs.shape[0], units), inputs.new_zeros(inputs.shape[0], units))
    outputs = []
    for step_input in inputs.unbind(1):
        output, state = cell(step_input, state)
        outputs.append(F.dropout(output, output_dropout, training))
    return torch.stack(outputs, 1), state


def run(case):
    cell = BasicLSTMCell(convert_checkpoint(case.weights))
    outputs, (c, h) = dynamic_rnn(cell, case.inputs["x"], case.config["units"], case.rate("output"), case.training)
    return {"y": outputs, "h": h, "c": c}
