"""Equinox: `equinox.nn.Dropout` and `equinox.nn.LSTMCell` under `jax.lax.scan`, mapped over the batch.

https://docs.kidger.site/equinox/api/nn/rnn/: weight_ih (4H, I), weight_hh (4H, H), one bias (4H,), gates i, f, g, o, state
(h, c). Layers see one example; a batch is `jax.vmap`. Sharing a mask over an axis is mapping over it with one key.

Imported on Python 3.6 with NumPy alone: equinox is imported inside functions.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, kind_of, precision
from harness.adapters.jax_native import given, shown, single
from harness.adapters.jax_stack import (
    DropOf,
    Layer,
    Part,
    SequenceOf,
    StackAdapter,
    State,
    Weights,
    halves,
    initial_states,
    places,
    state_names,
)
from harness.tape import Slot


def mapped(layer: Any, shared: Sequence[int]) -> Any:
    """A dropout layer mapped over the shared axes with one key for all: `f(array, key)`."""
    import jax

    def call(array: Any, key: Any) -> Any:
        return layer(array, key=key)

    # Ascending, so the greatest axis is mapped outermost: taking it away does not renumber the smaller ones.
    for axis in sorted(shared):
        call = jax.vmap(call, in_axes=(axis, None), out_axes=axis)
    return call


@implementation("equinox.nn.Dropout", ["jax"], "dropout", needs=["jax", "equinox"])
class Dropout(JaxAdapter):
    """equinox.nn.Dropout(rate)(x, key=key): draws at rate 1 too, where its gradient is 0 / 0."""

    sites = ("input",)

    def check(self, job: Job) -> None:
        """Survivors are always scaled."""
        super(Dropout, self).check(job)
        if any(site.scale != "inverted" for site in job.sites):
            raise Unsupported("equinox.nn.Dropout always scales by 1 / (1 - rate)")

    def slots(self, job: Job) -> List[Slot]:
        """One mask over the axes that are not shared."""
        (site,) = job.sites
        if not active(job, site):
            return []
        drawn = tuple(size for size, axis in zip(site.shape, site.axes) if axis not in site.shared)
        return [Slot(site.at, kind_of(site), drawn, site.shape)]

    def function(self, job: Job) -> Function:
        """The layer on x."""
        (site,) = job.sites

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import equinox

            x = arrays["x"]
            layer = equinox.nn.Dropout(site.rate, inference=not job.train)
            shared = [axis for axis, name in enumerate(site.axes) if name in site.shared]
            return {"y": mapped(layer, shared)(x, key)}

        return call


@implementation("equinox.nn.LSTMCell", ["jax"], "lstm", needs=["jax", "equinox"])
@implementation("equinox.nn.LSTMCell", ["jax"], "encoder_decoder", needs=["jax", "equinox"])
class LSTMCell(StackAdapter):
    """equinox.nn.LSTMCell in jax.lax.scan, jax.vmap over the batch; equinox.nn.Dropout around it, a key for each place."""

    draws_at_one = True

    def slot(self, part: Part) -> Slot:
        """As every stack, but the shared axes are mapped away before the layer draws."""
        slot = super(LSTMCell, self).slot(part)
        return slot._replace(shape=tuple(size for axis, size in enumerate(part.shape) if axis not in part.shared))

    def step_slot(self, part: Part, step: int, steps: int) -> Slot:
        """One state (B, H), or (H,) where one key serves the whole batch."""
        slot = super(LSTMCell, self).step_slot(part, step, steps)
        return slot._replace(shape=slot.shape[1:]) if part.shares("batch") else slot

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """The cell scanned over time and mapped over the batch; a key for each place, by jax.random.split."""
        import equinox
        import jax
        import jax.numpy as jnp

        unroll = self.option(job, "unroll")
        keys = iter(jax.random.split(key, 2 * len(halves(job)) + 4 * len(places(job))))

        def drop(part: Part, array: Any) -> Any:
            return mapped(equinox.nn.Dropout(part.site.rate), part.shared)(array, next(keys))

        def one_way(layer: Layer, x: Any, state: State) -> Tuple[Any, State]:
            cell = self.cell(layer.weights)
            batch, steps = x.shape[0], x.shape[1]
            key_h, axis_h = state_keys(layer.h, next(keys), batch, steps)
            key_c, axis_c = state_keys(layer.c, next(keys), batch, steps)

            def one(x: Any, h: Any, c: Any, key_h: Any, key_c: Any) -> Any:
                def step(state: State, given: Any) -> Tuple[State, Any]:
                    x_t, step_h, step_c = given
                    h, c = state
                    h = drop_state(layer.h, h, key_h if step_h is None else step_h)
                    c = drop_state(layer.c, c, key_c if step_c is None else step_c)
                    state = self.advance(cell, x_t, (h, c))
                    return state, state[0]

                each_h = None if layer.h is None or layer.h.shares("time") else key_h
                each_c = None if layer.c is None or layer.c.shares("time") else key_c
                return jax.lax.scan(step, (h, c), (x, each_h, each_c), unroll=unroll)

            # A sequence is read from its end by turning it round, so that steps and keys count in the order of reading.
            x = x[:, ::-1] if layer.reverse else x
            state, y = jax.vmap(one, in_axes=(0, 0, 0, axis_h, axis_c))(x, state[0], state[1], key_h, key_c)
            return y, state

        def sequence(ways: Sequence[Layer], x: Any, states: Sequence[State], lengths: Any) -> Tuple[Any, List[State]]:
            ran = [one_way(layer, x, state) for layer, state in zip(ways, states)]
            y = ran[0][0] if len(ran) == 1 else jnp.concatenate([ran[0][0], ran[1][0][:, ::-1]], axis=-1)
            return y, [state for _, state in ran]

        return sequence, drop

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The cell's arrays, and the state that it returns at the last step; of one layer in one direction."""
        if not single(job):
            return {}
        import jax

        with precision(job.dtype):
            arrays, weights = given(self, job)
            cell = self.cell(weights)
            state: Any = initial_states(job, arrays, arrays["x"])[0][0]
            if "c" not in state_names(job):
                state = state[0]
            for step in range(arrays["x"].shape[1]):
                state = jax.vmap(cell)(arrays["x"][:, step], state)
            held = {name: value for name, value in vars(cell).items() if hasattr(value, "shape")}
            return shown(held, state)

    def cell(self, weights: Weights) -> Any:
        """The cell with its weights in place: weight_ih = W^T, weight_hh = U^T, bias = b."""
        import equinox

        return filled(
            equinox.nn.LSTMCell,
            weights,
            weight_ih=weights.kernel.T,
            weight_hh=weights.recurrent_kernel.T,
            bias=weights.bias,
        )

    def advance(self, cell: Any, x: Any, state: State) -> State:
        """One step of one example: the new (h, c)."""
        h, c = cell(x, state)
        return h, c


def state_keys(part: Optional[Part], key: Any, batch: int, steps: int) -> Tuple[Any, Optional[int]]:
    """Keys of a state's dropout, and the axis that the batch maps over: (B,), one for each step too unless shared over time."""
    import jax

    if part is None:
        return None, None
    sizes = (("batch", batch), ("time", steps))
    shape = tuple(size for axis, size in sizes if not part.shares(axis))
    return (jax.random.split(key, shape) if shape else key), (None if part.shares("batch") else 0)


def drop_state(part: Optional[Part], state: Any, key: Any) -> Any:
    """equinox.nn.Dropout on one example's state."""
    import equinox

    return state if part is None else equinox.nn.Dropout(part.site.rate)(state, key=key)


def filled(kind: Any, weights: Weights, **arrays: Any) -> Any:
    """A cell of a kind with these arrays in place of those it would draw."""
    import equinox
    import jax

    # Its shape alone: the weights it would draw are replaced at once.
    cell = equinox.filter_eval_shape(kind, weights.kernel.shape[0], weights.units, key=jax.random.key(0))
    return equinox.tree_at(lambda cell: [getattr(cell, name) for name in arrays], cell, list(arrays.values()))


@implementation("equinox.nn.GRUCell", ["jax"], "gru", needs=["jax", "equinox"])
class GRUCell(LSTMCell):
    """equinox.nn.GRUCell: gates r, z, n, a second bias for n alone, so the gates' two biases are one."""

    #: no state.h: the cell blends the h that it is given, so a mask on it would reach further than into the products.
    sites = ("input", "output")
    settings = (*LSTMCell.settings, "reset_after")

    def check(self, job: Job) -> None:
        """Reset after the product."""
        super(GRUCell, self).check(job)
        if not job.config.get("reset_after", True):
            raise Unsupported("equinox.nn.GRUCell resets after the recurrent product, not before it")

    def cell(self, weights: Weights) -> Any:
        """Canonical gates are z, r, n."""
        import equinox
        import jax.numpy as jnp

        def ordered(array: Any) -> Any:
            z, r, n = jnp.split(array, 3, axis=-1)
            return jnp.concatenate([r, z, n], axis=-1).T

        second = weights.recurrent_bias
        joined = weights.bias + second.at[2 * weights.units :].set(0)
        return filled(
            equinox.nn.GRUCell,
            weights,
            weight_ih=ordered(weights.kernel),
            weight_hh=ordered(weights.recurrent_kernel),
            bias=ordered(joined),
            bias_n=second[2 * weights.units :],
        )

    def advance(self, cell: Any, x: Any, state: State) -> State:
        """One step of one example; there is no c."""
        return cell(x, state[0]), state[1]
