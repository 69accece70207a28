"""One recurrent layer in plain JAX: the step of each kind, and `jax.lax.scan` over the steps.

Where h enters a product it may be masked, for each gate; the h that a GRU blends into the new one is whole (Gal & Ghahramani
2016, arXiv 1512.05287, section 4).
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from harness.frameworks.jax.lazy import jax, jnp

State = Tuple[Any, ...]
#: step(config, weights, x (1 or G, B, D), what enters of the states: h (1 or G, B, P) and c, the states) -> the new states.
Step = Callable[[Dict[str, Any], Dict[str, Any], Any, State, State], State]


def products(entering: Any, kernel: Any) -> Any:
    """(1 or G, B, I) times (I, GH): one product where the gates share their input, else one for each gate. Gives (B, GH)."""
    gates = entering.shape[0]
    if gates == 1:
        return entering[0] @ kernel
    blocks = jnp.split(kernel, gates, axis=1)
    return jnp.concatenate([part @ block for part, block in zip(entering, blocks)], axis=1)


def lstm(config: Dict[str, Any], weights: Dict[str, Any], x: Any, entering: State, _states: State) -> State:
    """An LSTM's step, gates i, f, g, o, with the options of TensorFlow 1's LSTMCell in the order in which they act there."""
    activation, (h, c) = gate_activation(config.get("recurrent_activation")), entering
    z = products(x, weights["kernel"]) + products(h, weights["recurrent_kernel"]) + weights["bias"]
    i, f, g, o = jnp.split(z, 4, axis=-1)
    if config.get("forget_bias"):
        f = f + config["forget_bias"]
    if config.get("peepholes"):
        i, f = i + weights["peephole_i"] * c, f + weights["peephole_f"] * c
    c = clipped(activation(f) * c + activation(i) * jnp.tanh(g), config.get("cell_clip"))
    if config.get("peepholes"):
        o = o + weights["peephole_o"] * c
    h = activation(o) * jnp.tanh(c)
    if config.get("projection"):
        h = h @ weights["projection"]
    return clipped(h, config.get("projection_clip")), c


def gate_activation(name: Optional[str]) -> Callable[[Any], Any]:
    """The gates' activation by its name among the settings."""
    if name == "hard_sigmoid_keras2":
        return lambda z: jnp.clip(0.2 * z + 0.5, 0.0, 1.0)
    named: Callable[[Any], Any] = jax.nn.hard_sigmoid if name == "hard_sigmoid" else jax.nn.sigmoid
    return named


def clipped(value: Any, limit: Optional[float]) -> Any:
    """The value cut to [-limit, limit], if there is a limit."""
    return jnp.clip(value, -limit, limit) if limit else value


def elman(config: Dict[str, Any], weights: Dict[str, Any], x: Any, entering: State, _states: State) -> State:
    """A simple layer's step: h = tanh(x W + h' U + b)."""
    recurrent = products(entering[0], weights["recurrent_kernel"])
    return (jnp.tanh(products(x, weights["kernel"]) + recurrent + weights["bias"]),)


def gru(config: Dict[str, Any], weights: Dict[str, Any], x: Any, entering: State, states: State) -> State:
    """A GRU's step, gates z, r, n; the reset gate acts after the recurrent product or before it (Cho et al. 2014)."""
    (masked,), (h,), recurrent = entering, states, weights["recurrent_kernel"]
    z, r, n = jnp.split(products(x, weights["kernel"]) + weights["bias"], 3, axis=-1)
    after = config["reset_after"]
    if after:
        from_z, from_r, from_n = jnp.split(products(masked, recurrent) + weights["recurrent_bias"], 3, axis=-1)
    else:
        of_z, of_r, of_n = jnp.split(recurrent, 3, axis=1)
        from_z, from_r = masked[0] @ of_z, masked[min(1, masked.shape[0] - 1)] @ of_r
    z, r = jax.nn.sigmoid(z + from_z), jax.nn.sigmoid(r + from_r)
    n = jnp.tanh(n + (r * from_n if after else (r * masked[-1]) @ of_n))
    return (z * h + (1.0 - z) * n,)


#: The step of a kind by the number of its gates.
STEPS: Dict[int, Step] = {4: lstm, 3: gru, 1: elman}


class Walk(NamedTuple):
    """How a layer goes through its sequence.

    step      one step from x and the states, as they enter and whole.
    masks     factors of the states, h (1 or G, 1 or B, 1 or T, P) and c (1 or B, 1 or T, H), or None.
    reverse   from the end.    leaving: the masks act on what leaves a step, not on what enters it.
    padding   `zeros`, `repeat`, `free` or None; lengths (B,), the valid steps, or None.    unroll: steps an iteration.
    """

    step: Callable[[Any, State, State], State]
    masks: List[Any]
    reverse: bool
    leaving: bool
    padding: Optional[str]
    lengths: Any
    unroll: int


def always_or_each(factor: Any, reverse: bool) -> Tuple[Any, Any]:
    """A factor as (what every step uses, what each step takes its own slice of, in the order of reading); one is None."""
    if factor is None:
        return None, None
    if factor.shape[-2] == 1:
        return jnp.squeeze(factor, -2), None
    return None, in_order(factor, reverse)


def in_order(array: Any, reverse: bool) -> Any:
    """An array with the time in its last axis but one, by step in the order of reading."""
    steps = jnp.moveaxis(array, -2, 0)
    return steps[::-1] if reverse else steps


def run_layer(walk: Walk, x: Any, states: State) -> Tuple[Any, State]:
    """Scan one layer over x (1 or G, B, T, D), masked already, from its states (B, ·).

    Returns y (B, T, P) in the order of reading and the last states.
    """
    split = [always_or_each(factor, walk.reverse) for factor in walk.masks]
    position = jnp.arange(x.shape[2])[::-1] if walk.reverse else jnp.arange(x.shape[2])

    def masked(states: State, each: Any) -> State:
        """The states as they enter, h with an axis for the gates."""
        found = (states[0][None], *states[1:])
        masks = [always if own is None else own for (always, _), own in zip(split, each)]
        return tuple(state if mask is None else state * mask for state, mask in zip(found, masks))

    def step(carry: Any, given: Any) -> Any:
        states, shown = carry
        x_t, each, t = given
        new = walk.step(x_t, (states[0][None], *states[1:]) if walk.leaving else masked(states, each), states)
        y = new[0]
        if walk.leaving:
            h, *others = masked(new, each)
            new = (h[0], *others)
        if walk.padding in ("zeros", "repeat"):
            valid = (t < walk.lengths)[:, None]
            new = tuple(jnp.where(valid, after, before) for after, before in zip(new, states))
            y = shown = jnp.where(valid, y, shown if walk.padding == "repeat" else jnp.zeros_like(y))
        return (new, shown), (y, new if walk.padding == "free" else None)

    given = (in_order(x, walk.reverse), [own for _, own in split], position)
    (last, _), (y, history) = jax.lax.scan(step, (states, jnp.zeros_like(states[0])), given, unroll=walk.unroll)
    if walk.padding == "free":
        rows = jnp.arange(x.shape[1])
        last = tuple(values[walk.lengths - 1, rows] for values in history)
    return jnp.moveaxis(y, 0, 1), last
