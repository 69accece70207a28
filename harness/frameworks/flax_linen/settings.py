"""What Linen and nnx have in common: gate names, collections of keys, declarations, how RNN and Bidirectional are called."""

from typing import Any, Callable, Dict, List, Sequence, Tuple

from harness.frameworks.contract.places import Part
from harness.frameworks.jax.stack import BECAUSE, Layer, SequenceOf, StackAdapter, State

GATES = ("i", "f", "g", "o")

#: Collections (Linen) or streams (nnx) of keys: the usual one, and one for masks that every step of a sequence uses.
EACH_STEP = "dropout"
ALL_STEPS = "recurrent_dropout"


class FlaxStack(StackAdapter):
    """A stack of either's cells under its RNN."""

    settings: Tuple[str, ...] = (*StackAdapter.settings, "padding", "recurrent_activation", "reset_after")
    values: Dict[str, Tuple[Any, ...]] = {
        "padding": ("free",),
        "recurrent_activation": ("hard_sigmoid",),
        "reset_after": (True,),
    }
    because = {
        **BECAUSE,
        "padding": "RNN(seq_lengths=...) leaves outputs past the end as they come",
        "recurrent_activation": "gate_fn is jax.nn's, of slope 1/6",
        "reset_after": "GRUCell resets after the recurrent product, not before it",
    }


def over(rnn: Callable[[Layer], Any], bidirectional: Callable[..., Any]) -> SequenceOf:
    """A layer's RNN over a sequence, two of them in a Bidirectional; carries are (c, h), h alone where there is no c."""

    def sequence(layers: Sequence[Layer], x: Any, states: Sequence[State], lengths: Any) -> Tuple[Any, List[State]]:
        runs = [rnn(layer) for layer in layers]
        carries = [carry_of(state) for state in states]
        if len(layers) == 1:
            reverse = layers[0].reverse
            carry, y = runs[0](x, initial_carry=carries[0], seq_lengths=lengths, return_carry=True, reverse=reverse)
            return y, [state_of(carry)]
        carries, y = bidirectional(*runs)(x, initial_carry=tuple(carries), seq_lengths=lengths, return_carry=True)
        return y, [state_of(carry) for carry in carries]

    return sequence


def carry_of(state: State) -> Any:
    """The library's carry of a state."""
    return state[0] if len(state) == 1 else state[::-1]


def state_of(carry: Any) -> State:
    """The state of a carry."""
    return carry[::-1] if isinstance(carry, tuple) else (carry,)


def dropped(carry: Any, drops: Sequence[Callable[[Any], Any]]) -> Any:
    """A carry through what drops each state, h first."""
    return carry_of(tuple(drop(state) for drop, state in zip(drops, state_of(carry))))


def of_state(part: Part) -> Dict[str, Any]:
    """The arguments of the dropout layer of a state, in a cell around the cell."""
    shared = part.site.shared
    return {
        "broadcast_dims": (0,) if "batch" in shared else (),
        "rng_collection": ALL_STEPS if "time" in shared else EACH_STEP,
    }
