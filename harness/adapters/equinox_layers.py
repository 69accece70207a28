"""Equinox: `equinox.nn.Dropout` and `equinox.nn.LSTMCell` under `jax.lax.scan`, mapped over the batch.

https://docs.kidger.site/equinox/api/nn/rnn/: weight_ih (4H, I), weight_hh (4H, H), one bias (4H,), gates i, f, g, o, state
(h, c). Layers see one example; a batch is `jax.vmap`. Sharing a mask over an axis is mapping over it with one key.

Imported on Python 3.6 with NumPy alone: equinox is imported inside functions.
"""

from typing import Any, Dict, List, Sequence, Tuple

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, kind_of
from harness.adapters.jax_stack import (
    DropOf,
    Half,
    Part,
    SequenceOf,
    StackAdapter,
    State,
    Weights,
    broadcast_dims,
    halves,
)
from harness.tape import Slot


def mapped(layer, shared):
    # type: (Any, Sequence[int]) -> Any
    """A dropout layer mapped over the shared axes with one key for all: `f(array, key)`."""
    import jax

    def call(array, key):
        # type: (Any, Any) -> Any
        return layer(array, key=key)

    # Ascending, so the greatest axis is mapped outermost: taking it away does not renumber the smaller ones.
    for axis in sorted(shared):
        call = jax.vmap(call, in_axes=(axis, None), out_axes=axis)
    return call


def unshared(shape, full):
    # type: (Sequence[int], Sequence[int]) -> Tuple[int, ...]
    """The shape that is drawn when the shared axes are mapped away."""
    shared = broadcast_dims(shape, full)
    return tuple(size for axis, size in enumerate(shape) if axis not in shared)


@implementation("equinox.nn.Dropout", ["jax"], "dropout", needs=["jax", "equinox"])
class Dropout(JaxAdapter):
    """equinox.nn.Dropout(rate)(x, key=key): draws at rate 1 too, where its gradient is 0 / 0."""

    sites = ("input",)

    def check(self, job):
        # type: (Job) -> None
        """Survivors are always scaled."""
        super(Dropout, self).check(job)
        if any(site.scale != "inverted" for site in job.sites):
            raise Unsupported("equinox.nn.Dropout always scales by 1 / (1 - rate)")

    def slots(self, job):
        # type: (Job) -> List[Slot]
        """One mask over the axes that are not shared."""
        (site,) = job.sites
        if not active(job, site):
            return []
        return [Slot(site.at, kind_of(site), unshared(site.shape, job.inputs["x"].shape), site.shape)]

    def function(self, job):
        # type: (Job) -> Function
        """The layer on x."""
        (site,) = job.sites

        def call(key, arrays):
            # type: (Any, Dict[str, Any]) -> Dict[str, Any]
            import equinox

            x = arrays["x"]
            layer = equinox.nn.Dropout(site.rate, inference=not job.train)
            return {"y": mapped(layer, broadcast_dims(site.shape, x.shape))(x, key)}

        return call


@implementation("equinox.nn.LSTMCell", ["jax"], "lstm", needs=["jax", "equinox"])
@implementation("equinox.nn.LSTMCell", ["jax"], "encoder_decoder", needs=["jax", "equinox"])
class LSTMCell(StackAdapter):
    """equinox.nn.LSTMCell in jax.lax.scan, jax.vmap over the batch; equinox.nn.Dropout between, a key for each."""

    options = {"jit": True, "unroll": 1}
    draws_at_one = True

    def slots(self, job):
        # type: (Job) -> List[Slot]
        """As every stack, but the shared axes are not in the shape that is drawn."""
        full = {half.sites: job.inputs[half.sequence].shape for half in halves(job)}
        found = []
        for slot in super(LSTMCell, self).slots(job):
            prefix = slot.site[: -len(slot.site.rsplit("coder.", 1)[-1])]
            batch, time, features = full[prefix]
            if not slot.site.endswith("input"):
                features = job.config["units"]
            found.append(slot._replace(shape=unshared(slot.shape, (batch, time, features))))
        return found

    def dropout(self, job, key):
        # type: (Job, Any) -> DropOf
        """One key for each place, by jax.random.split."""
        import equinox
        import jax

        count = sum(len(self.parts(job, half)) for half in halves(job))
        keys = iter(jax.random.split(key, max(count, 1)))

        def drop(part, array):
            # type: (Part, Any) -> Any
            layer = equinox.nn.Dropout(part.site.rate)
            return mapped(layer, broadcast_dims(part.shape, array.shape))(array, next(keys))

        return drop

    def sequence(self, job, half):
        # type: (Job, Half) -> SequenceOf
        """The cell, its weights in place, scanned over time and mapped over the batch."""
        unroll = self.option(job, "unroll")

        def run(layer, weights, x, state):
            # type: (int, Weights, Any, State) -> Tuple[Any, State]
            import jax

            cell = cell_of(weights, x.shape[-1], job.config["units"])

            def one(x, h, c):
                # type: (Any, Any, Any) -> Any
                def step(state, x_t):
                    # type: (State, Any) -> Tuple[State, Any]
                    state = cell(x_t, state)
                    return state, state[0]

                return jax.lax.scan(step, (h, c), x, unroll=unroll)

            state, y = jax.vmap(one)(x, *state)
            return y, state

        return run


def cell_of(weights, features, units):
    # type: (Weights, int, int) -> Any
    """An equinox.nn.LSTMCell with canonical weights: weight_ih = W^T, weight_hh = U^T, bias = b."""
    import equinox
    import jax

    # Its shape alone: the weights it would draw are replaced at once.
    cell = equinox.filter_eval_shape(equinox.nn.LSTMCell, features, units, key=jax.random.key(0))
    return equinox.tree_at(
        lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias),
        cell,
        (weights.kernel.T, weights.recurrent_kernel.T, weights.bias),
    )
