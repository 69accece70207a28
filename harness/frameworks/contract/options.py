"""What the implementations' options mean and may be, by name; an adapter of your own may say it in `about_options` and `choices`.

Defaults stand in the adapters, and where there is no more to say give an option its type: a truth value, a count, a text. In YAML
`off` and `no` are words, and a word is true in Python, so nothing is ever converted. A name that two frameworks use has one line
here when it means the same in both.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

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
    "tapped": "false: draws are not recorded, and steps of a graph's loop race as they do without the tap",
    "tensor_rate": "the rate is a tensor, which divides by 1 - rate instead of multiplying",
    "tf_function": "whether the call is traced into a tf.function",
    "training": "the training flag as Python's bool (`python`) or, in a tf.function, as a `tensor`",
    "unroll": "steps of the loop that are unrolled (JAX), or whether the loop is (Keras)",
    "use_cudnn": "Keras' own argument: the fused path; none: Keras' default",
    "variational": "DropoutWrapper's variational_recurrent: one mask for all steps",
    "wrap": "how the dropped weight is put in place: `tensor`, `parameter` or `parametrize`",
}

#: The values of options that their default's type does not tell; None where the framework's own default is meant.
CHOICES: Dict[str, Tuple[Any, ...]] = {
    "as_state": ("", "columns", "rows"),
    "compile": (False, True, "inductor", "aot_eager", "eager"),
    "dropout_state_filter_visitor": (None, "h"),
    "implementation": (None, 0, 1, 2),
    "runner": ("dynamic_rnn", "static_rnn"),
    "training": ("python", "tensor"),
    "use_cudnn": (None, True, False),
    "wrap": ("tensor", "parameter", "parametrize"),
}


def wanted(name: str, value: Any, default: Any, choices: Optional[Tuple[Any, ...]] = None) -> Optional[str]:
    """What an option takes, in words, where `value` is none of it; else None.

    default  its type is the value's, a whole number counting from 1; of a default of None nothing is known.
    choices  of an adapter's own; else those of CHOICES.
    """
    allowed = CHOICES.get(name) if choices is None else choices
    if allowed is not None:
        if any(type(value) is type(one) and value == one for one in allowed):
            return None
        return either([word(one) for one in allowed if one != ""])
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        right = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return None if right else "a whole number from 1"
    if isinstance(default, str):
        return None if isinstance(value, str) else "a text"
    return None


def word(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def either(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(words[:-1])] * (len(words) > 1) + [words[-1]])
