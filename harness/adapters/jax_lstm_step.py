"""One LSTM layer in plain JAX: the cell with its options, and `jax.lax.scan` over its steps.

Options in the order in which they act, as in TensorFlow 1's LSTMCell: peepholes, cell_clip, projection, projection_clip; see the
settings of the layer kind `lstm`. Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

from typing import Any, Dict, NamedTuple, Tuple

State = Tuple[Any, Any]


class Walk(NamedTuple):
    """How a layer goes through its sequence.

    reverse   from the end.
    h, c      factors of the states, (G, B, T or 1, P) and (B, T or 1, H), or None.
    lengths   (B,) valid steps, or None. config: `padding`, `drop_leaving_state`. unroll: steps an iteration.
    """

    reverse: bool
    h: Any
    c: Any
    lengths: Any
    config: Dict[str, Any]
    unroll: int


class Cell(object):
    """A cell: canonical weights under `prefix`, the kind's settings, and the factor of the recurrent kernel or None."""

    def __init__(self, config: Dict[str, Any], prefix: str, arrays: Dict[str, Any], recurrent_factor: Any) -> None:
        import jax.numpy as jnp

        self.config = config
        self.weights = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        recurrent = self.weights["recurrent_kernel"]
        if recurrent_factor is not None:
            split = jnp.reshape(recurrent, (recurrent.shape[0], 4, -1)) * recurrent_factor
            recurrent = jnp.reshape(split, recurrent.shape)
        self.recurrent = recurrent

    def activation(self, z: Any) -> Any:
        """The gates' activation."""
        import jax
        import jax.numpy as jnp

        name = self.config.get("recurrent_activation")
        if name == "hard_sigmoid_keras2":
            return jnp.clip(0.2 * z + 0.5, 0.0, 1.0)
        return jax.nn.hard_sigmoid(z) if name == "hard_sigmoid" else jax.nn.sigmoid(z)

    def step(self, x: Any, h: Any, c: Any) -> State:
        """One step from x (G, B, D), h (G, B, P), c (B, H), masked already, to the new h and c."""
        import jax.numpy as jnp

        config, weights = self.config, self.weights
        z = gates_of(x, weights["kernel"]) + gates_of(h, self.recurrent) + weights["bias"]
        i, f, g, o = jnp.split(z, 4, axis=-1)
        if config.get("forget_bias"):
            f = f + config["forget_bias"]
        if config.get("peepholes"):
            i, f = i + weights["peephole_i"] * c, f + weights["peephole_f"] * c
        c = self.activation(f) * c + self.activation(i) * jnp.tanh(g)
        if config.get("cell_clip"):
            c = jnp.clip(c, -config["cell_clip"], config["cell_clip"])
        if config.get("peepholes"):
            o = o + weights["peephole_o"] * c
        h = self.activation(o) * jnp.tanh(c)
        if config.get("projection"):
            h = h @ weights["projection"]
        if config.get("projection_clip"):
            h = jnp.clip(h, -config["projection_clip"], config["projection_clip"])
        return h, c


def gates_of(entering: Any, kernel: Any) -> Any:
    """(1 or G, B, I) times (I, GH): one product where the gates share their input, else one for each gate. Gives (B, GH)."""
    import jax.numpy as jnp

    gates = entering.shape[0]
    if gates == 1:
        return entering[0] @ kernel
    blocks = jnp.split(kernel, gates, axis=1)
    return jnp.concatenate([part @ block for part, block in zip(entering, blocks)], axis=1)


def steps_of(factor: Any, axis: int, reverse: bool) -> Tuple[Any, Any]:
    """A factor as (what every step uses, what each step takes its own slice of, in the order of reading); one is None."""
    import jax.numpy as jnp

    if factor is None:
        return None, None
    if factor.shape[axis] == 1:
        return jnp.squeeze(factor, axis), None
    moved = jnp.moveaxis(factor, axis, 0)
    return None, moved[::-1] if reverse else moved


def run_layer(cell: Cell, x: Any, state: State, walk: Walk) -> Tuple[Any, State]:
    """Scan one layer over x (G, B, T, D), masked already, from state h (B, P), c (B, H).

    Returns y (B, T, P) in the order of reading and the last state.
    """
    import jax
    import jax.numpy as jnp

    reverse, leaving, padding = walk.reverse, bool(walk.config.get("drop_leaving_state")), walk.config.get("padding")
    h_always, h_steps = steps_of(walk.h, 2, reverse)
    c_always, c_steps = steps_of(walk.c, 1, reverse)
    steps = x.shape[2]
    position = jnp.arange(steps)[::-1] if reverse else jnp.arange(steps)

    def masked(h: Any, c: Any, h_mask: Any, c_mask: Any) -> State:
        return (h[None] if h_mask is None else h[None] * h_mask), (c if c_mask is None else c * c_mask)

    def step(carry: Any, given: Any) -> Any:
        (h, c), shown = carry
        x_t, h_step, c_step, t = given
        h_mask = h_always if h_step is None else h_step
        c_mask = c_always if c_step is None else c_step
        new_h, new_c = cell.step(x_t, *((h[None], c) if leaving else masked(h, c, h_mask, c_mask)))
        y = new_h
        if leaving:
            carried, new_c = masked(new_h, new_c, h_mask, c_mask)
            new_h = carried[0]
        if padding in ("zeros", "repeat"):
            valid = (t < walk.lengths)[:, None]
            new_h, new_c = jnp.where(valid, new_h, h), jnp.where(valid, new_c, c)
            y = shown = jnp.where(valid, y, shown if padding == "repeat" else jnp.zeros_like(y))
        return ((new_h, new_c), shown), (y, (new_h, new_c) if padding == "free" else None)

    given = (jnp.moveaxis(x[:, :, ::-1] if reverse else x, 2, 0), h_steps, c_steps, position)
    (last, _), (y, history) = jax.lax.scan(step, (state, jnp.zeros_like(state[0])), given, unroll=walk.unroll)
    if padding == "free":
        rows = jnp.arange(x.shape[1])
        last = tuple(values[walk.lengths - 1, rows] for values in history)
    return jnp.moveaxis(y, 0, 1), last
