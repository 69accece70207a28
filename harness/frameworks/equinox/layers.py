"""Equinox: its Dropout and Embedding, and its cells under `jax.lax.scan`, mapped over the batch.

https://docs.kidger.site/equinox/api/nn/rnn/: weight_ih (4H, I), weight_hh (4H, H), one bias (4H,), gates i, f, g, o, state
(h, c). Layers see one example; a batch is `jax.vmap`. Sharing a mask over an axis is mapping over it with one key.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.lazy import Lazy
from harness.frameworks.contract.places import Part
from harness.frameworks.jax import pointwise
from harness.frameworks.jax.lazy import jax, jnp
from harness.frameworks.jax.stack import KINDS, DropOf, Layer, SequenceOf, StackAdapter, State, each_way

equinox: Any = Lazy("equinox")


class Equinox(pointwise.Dropping):
    """The layers of Equinox: dropout draws at rate 1 too, where its gradient is 0 / 0, and shared axes are mapped away first."""

    scales: Tuple[str, ...] = ("inverted",)
    draws_at_one = True

    def drawn_shape(self, part: Part) -> Tuple[int, ...]:
        """Without the shared axes."""
        return tuple(size for number, size in enumerate(part.shape) if number not in part.shared)

    def drop(self, part: Part, array: Any, key: Any, train: bool = True) -> Any:
        """equinox.nn.Dropout(rate)(array, key=key), mapped over the shared axes with one key for all."""
        layer = equinox.nn.Dropout(part.site.rate, inference=not train)

        def call(array: Any, key: Any) -> Any:
            return layer(array, key=key)

        # Ascending, so the greatest axis is mapped outermost: taking it away does not renumber the smaller ones.
        for axis in sorted(part.shared):
            call = jax.vmap(call, in_axes=(axis, None), out_axes=axis)
        return call(array, key)

    def embed(self, table: Any, tokens: Any) -> Any:
        """equinox.nn.Embedding, mapped over batch and time."""
        return jax.vmap(jax.vmap(equinox.nn.Embedding(weight=table)))(tokens)


@implementation("equinox.nn.Dropout", ["jax"], "dropout", needs=["jax", "equinox"])
class Dropout(Equinox, pointwise.Pointwise):
    """equinox.nn.Dropout."""


@implementation("equinox.nn.Embedding", ["jax"], "embedding", needs=["jax", "equinox"])
class Embedding(Equinox, pointwise.Embedding):
    """equinox.nn.Dropout on the table, mapped over its columns with one key, then equinox.nn.Embedding."""


@implementation("equinox.nn.LSTMCell", ["jax"], KINDS, needs=["jax", "equinox"])
class LSTMCell(Equinox, StackAdapter):
    """equinox.nn.LSTMCell in jax.lax.scan, jax.vmap over the batch; equinox.nn.Dropout around it, a key for each place."""

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """The cell scanned over time and mapped over the batch; a key for each place, by jax.random.split."""
        unroll = self.option(job, "unroll")
        count = sum(2 + 4 * len(stack.places()) for stack in job.stacks)
        keys = iter(jax.random.split(key, count))

        def one_way(layer: Layer, x: Any, state: State, lengths: Any) -> Tuple[Any, State]:
            cell = self.cell(layer)
            # A key for c too where there is none: what is drawn does not depend on the kind.
            own = [next(keys), next(keys)]
            drops = [Drop(part, key, *x.shape[:2]) for part, key in zip(layer.masks, own)]

            def one(x: Any, state: State, keys: List[Any]) -> Any:
                def step(state: State, given: Any) -> Tuple[State, Any]:
                    x_t, each = given
                    state = tuple(drop(*whole) for drop, *whole in zip(drops, state, keys, each))
                    state = advance(cell, x_t, state)
                    return state, state[0]

                each = [key if drop.each_step else None for drop, key in zip(drops, keys)]
                return jax.lax.scan(step, state, (x, each), unroll=unroll)

            # A sequence is read from its end by turning it round, so that steps and keys count in the order of reading.
            x = x[:, ::-1] if layer.reverse else x
            axes = (0, 0, [drop.axis for drop in drops])
            state, y = jax.vmap(one, in_axes=axes)(x, state, [drop.keys for drop in drops])
            return y, state

        return each_way(one_way), lambda part, array: self.drop(part, array, next(keys))

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """equinox.nn.Linear, whose weight is (V, ·), mapped over batch and time."""
        weight = kernel if tied else kernel.T
        layer = filled(equinox.nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=bias)
        return jax.vmap(jax.vmap(layer))(x)

    def held(self, job: Job, layer: Layer) -> Dict[str, Any]:
        return {name: value for name, value in vars(self.cell(layer)).items() if hasattr(value, "shape")}

    def carried(self, job: Job, layer: Layer, x: Any, state: State) -> Any:
        """The state that the cell returns at the last step."""
        cell = self.cell(layer)
        for step in range(x.shape[1]):
            state = jax.vmap(lambda x_t, state: advance(cell, x_t, state))(x[:, step], state)
        return state

    def cell(self, layer: Layer) -> Any:
        """The cell with its weights in place: weight_ih = W^T, weight_hh = U^T, bias = b."""
        weights = layer.weights
        return filled(
            equinox.nn.LSTMCell,
            weights["kernel"].shape[0],
            layer.units,
            weight_ih=weights["kernel"].T,
            weight_hh=weights["recurrent_kernel"].T,
            bias=weights["bias"],
        )


def advance(cell: Any, x: Any, state: State) -> State:
    """One step of one example: the new state, in the cell's own order."""
    return tuple(cell(x, state)) if len(state) > 1 else (cell(x, state[0]),)


class Drop:
    """equinox.nn.Dropout on one state of one example.

    keys   of the batch, (B,), and of each step too unless the mask is shared over time.    axis: which is the batch's.
    """

    def __init__(self, part: Optional[Part], key: Any, batch: int, steps: int) -> None:
        self.part, self.keys, self.axis, self.each_step = part, None, None, False
        if part is not None:
            shared = part.site.shared
            shape = tuple(size for size, axis in ((batch, "batch"), (steps, "time")) if axis not in shared)
            self.keys = jax.random.split(key, shape) if shape else key
            self.axis = None if "batch" in shared else 0
            self.each_step = "time" not in shared

    def __call__(self, state: Any, key: Any, of_step: Any) -> Any:
        """Drop out with the key of this step, or with that of all."""
        if self.part is None:
            return state
        return equinox.nn.Dropout(self.part.site.rate)(state, key=of_step if self.each_step else key)


def filled(kind: Any, inputs: int, outputs: int, **arrays: Any) -> Any:
    """A layer of a kind with these arrays in place of those it would draw."""
    # Its shape alone: the weights it would draw are replaced at once.
    layer = equinox.filter_eval_shape(kind, inputs, outputs, key=jax.random.key(0))
    return equinox.tree_at(lambda layer: [getattr(layer, name) for name in arrays], layer, list(arrays.values()))


@implementation("equinox.nn.GRUCell", ["jax"], "gru", needs=["jax", "equinox"])
class GRUCell(LSTMCell):
    """equinox.nn.GRUCell: gates r, z, n, a second bias for n alone, so the gates' two biases are one."""

    #: no state.h: the cell blends the h that it is given, so a mask on it would reach further than into the products.
    sites = ("input", "output")
    settings = (*LSTMCell.settings, "reset_after")
    values = {"reset_after": (True,)}
    because = {
        **LSTMCell.because,
        "reset_after": "equinox.nn.GRUCell resets after the recurrent product, not before it",
    }

    def cell(self, layer: Layer) -> Any:
        """Canonical gates are z, r, n."""

        def ordered(name: str) -> Any:
            z, r, n = layer.blocks(name)
            return jnp.concatenate([r, z, n], axis=-1).T

        z, r, n = layer.blocks("bias")
        second_z, second_r, second_n = layer.blocks("recurrent_bias")
        return filled(
            equinox.nn.GRUCell,
            layer.weights["kernel"].shape[0],
            layer.units,
            weight_ih=ordered("kernel"),
            weight_hh=ordered("recurrent_kernel"),
            bias=jnp.concatenate([r + second_r, z + second_z, n]),
            bias_n=second_n,
        )
