"""What to do about faults, in torch's words."""

from harness.frameworks.contract.framework import Fix

SPLIT = "split the canonical weights as {canonical} and concatenate them in the order that your code reads"

FIXES = (
    Fix("gates.order*", "torch's own order is i, f, g, o: " + SPLIT, when={"gates": "ifgo"}),
    Fix("gates.order*", "torch's own order is r, z, n: " + SPLIT, when={"gates": "zrn"}),
    Fix("gates.reset before", "n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), as torch.nn.GRU has it"),
    Fix("gates.reset after", "torch.nn.GRU applies the reset gate after the product: write the cell out"),
    Fix(
        "bias.doubled", "torch adds bias_ih + bias_hh: put the canonical bias into one of them and zeros into the other"
    ),
    Fix("bias.absent", "load bias_ih (and zeros into bias_hh); with bias=False there is none"),
    Fix("bias.forget absent", "add {amount} to the forget block of the bias (torch has no forget bias)"),
    Fix(
        "site.fed back",
        "keep two variables: h = cell(x, h) for the next step, F.dropout(h) for the list of outputs",
    ),
    Fix(
        "inputs.axes exchanged",
        "pass batch_first=True, or transpose x and y: torch.nn.LSTM is (time, batch, features) by default",
    ),
    Fix(
        "outputs.layout time-major",
        "pass batch_first=True, or transpose y: torch's sequences are (time, batch, features) by default",
    ),
    Fix("mask.absent", "call .train(), and mind that nn.LSTM(dropout=…) drops nothing with one layer"),
    Fix("mask.in evaluation", "call .eval(), and pass training=self.training to F.dropout, which is active by default"),
    Fix(
        "mask.fresh over time",
        "F.dropout on a whole sequence draws at every step: draw a mask (batch, 1, features), or (1, batch, features) for a "
        "time-major one, and multiply",
    ),
    Fix("scale.rate*", "torch.nn.Dropout and LSTM(dropout=…) take the probability that an element is dropped"),
    Fix("decisions.rate*", "torch.nn.Dropout and LSTM(dropout=…) take the probability that an element is dropped"),
    # https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
    Fix(
        "gradient.stopped weights",
        "call the module with the case's tensors as its parameters: torch.func.functional_call(module, parameters, x)",
        needs="torch>=2",
    ),
    Fix(
        "gradient.stopped everywhere",
        "return the framework's own tensors: no .detach(), .numpy(), .item() or torch.no_grad() on the way",
    ),
    Fix("precision.float32", "build the layer in float64 (layer.double()), constants and masks too"),
    Fix(
        "precision.float16",
        "set torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32 to False",
    ),
)
