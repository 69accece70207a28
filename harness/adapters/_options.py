"""What the implementations' options mean, by name, for `harness layers`; an adapter of your own may say it in `about_options`.

Values and defaults stand in the adapters. A name that two frameworks use has one line here when it means the same in both.
"""

from typing import Dict

MEANINGS: Dict[str, str] = {
    "allow_rnn": "with `compile`: torch._dynamo traces nn.LSTM too, instead of leaving it to eager torch",
    "always": "drops in evaluation too, as the published variational code does",
    "as_state": "`columns` or `rows`: the dropped recurrent weight stands for dropout at state.h",
    "batch_first": "the module's own argument: arrays are (batch, time, features)",
    "compile": "torch.compile: true or `inductor`, `aot_eager`, `eager`; false runs eagerly",
    "eager": "eager mode instead of a graph",
    "implementation": "Keras' own argument, by number; none: Keras' default",
    "inplace": "the module's own argument",
    "jit": "whether the whole call is compiled by jax.jit",
    "layer_seed": "the layer gets the case's seed too, beside the global one",
    "parallel_iterations": "of dynamic_rnn; above 1 steps may draw in another order",
    "runner": "`dynamic_rnn` or `static_rnn`",
    "tensor_rate": "the rate is a tensor, which divides by 1 - rate instead of multiplying",
    "tf_function": "whether the call is traced into a tf.function",
    "training": "the training flag as Python's bool (`python`) or, in a tf.function, as a `tensor`",
    "unroll": "steps of the loop that are unrolled (JAX), or whether the loop is (Keras)",
    "use_cudnn": "Keras' own argument: the fused path; none: Keras' default",
    "variational": "DropoutWrapper's variational_recurrent: one mask for all steps",
    "wrap": "how the dropped weight is put in place: `tensor`, `parameter` or `parametrize`",
}
