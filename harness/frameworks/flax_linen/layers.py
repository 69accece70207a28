"""Flax Linen: its Dropout and Embed, and its cells under `flax.linen.RNN`.

https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html: parameters `ii if ig io` (kernels) and
`hi hf hg ho` (kernels and biases) in both cells, carry (c, h). Keys come from the path of module names, so the names below
are part of what is drawn: Linen's automatic ones, as a model written in one compact method has them.
"""

from typing import Any, Dict, Optional, Tuple

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.lazy import Lazy
from harness.frameworks.contract.places import Part
from harness.frameworks.flax_linen.settings import (
    ALL_STEPS,
    EACH_STEP,
    GATES,
    FlaxStack,
    carry_of,
    dropped,
    of_state,
    over,
)
from harness.frameworks.jax import pointwise
from harness.frameworks.jax.base import Function
from harness.frameworks.jax.lazy import jax
from harness.frameworks.jax.stack import KINDS, DropOf, Layer, SequenceOf, State

nn: Any = Lazy("flax.linen")


class Linen(pointwise.Dropping):
    """Linen's layers outside of a module: parameters are data."""

    scales: Tuple[str, ...] = ("inverted",)

    def drop(self, part: Part, array: Any, key: Any, train: bool = True) -> Any:
        """nn.Dropout(rate, broadcast_dims=...).apply(..., rngs={"dropout": key}): nothing is drawn at rates 0 and 1."""
        layer = nn.Dropout(part.site.rate, broadcast_dims=part.shared, deterministic=not train)
        return layer.apply({}, array, rngs={EACH_STEP: key} if train else {})

    def embed(self, table: Any, tokens: Any) -> Any:
        return nn.Embed(*table.shape, parent=None).apply({"params": {"embedding": table}}, tokens)


@implementation("flax.linen.Dropout", ["jax"], "dropout", needs=["jax", "flax"])
class Dropout(Linen, pointwise.Pointwise):
    """nn.Dropout."""


@implementation("flax.linen.Embed", ["jax"], "embedding", needs=["jax", "flax"])
class Embedding(Linen, pointwise.Embedding):
    """nn.Dropout on the table, which is data in Linen, then nn.Embed."""


class _Stack(Linen, FlaxStack):
    #: the cell's name in flax.linen.
    cell = ""

    def function(self, job: Job) -> Function:
        """The layer kind as the one compact method of a Linen module, applied to parameters made of canonical weights.

        Parameters are data in Linen, so a dropped weight is an nn.Dropout applied to them beforehand, with a key of its own.
        """
        adapter = self

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            class Model(nn.Module):  # type: ignore[misc]
                """The pipeline with nn.RNN and nn.Dropout."""

                @nn.compact  # type: ignore[untyped-decorator]
                def __call__(self) -> Dict[str, Any]:
                    return adapter.pipeline(job, arrays, stacks, *adapter.model(job, None))

            parts = [self.weight_part(job, stack, *place) for stack in job.stacks for place in stack.places()]
            count = len(self.slots_of(*parts))
            keys = iter(jax.random.split(key, count + 1) if count else [key])

            def drop(part: Part, array: Any) -> Any:
                return self.drop(part, array, next(keys) if part.site.active else key)

            stacks = self.layers(job, arrays, drop)
            key = next(keys)
            layers = [layer for rows in stacks for row in rows for layer in row]
            parameters = {cell_name(layer): self.held(job, layer) for layer in layers}
            rngs = {EACH_STEP: key, ALL_STEPS: key} if job.train else {}
            return dict(Model().apply({"params": parameters}, rngs=rngs))

        return call

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """What the module's compact method calls: nn.RNN around a cell for each layer, two of them in an nn.Bidirectional.

        Dropout layers are `Dropout_0`, `Dropout_1` … as they come. A state's stands in a cell around the cell, on the collection
        that nn.RNN splits at every step or, where the mask is shared over time, on the one that it does not (`split_rngs`).
        """

        def drop(part: Part, array: Any) -> Any:
            return nn.Dropout(part.site.rate, broadcast_dims=part.shared, deterministic=False)(array)

        def rnn(layer: Layer) -> Any:
            cell = self.made(job, layer, name=cell_name(layer))
            if any(layer.masks):
                cell = masked_cell(cell, layer)
            split = {"params": False, EACH_STEP: True, ALL_STEPS: False}
            return nn.RNN(cell, unroll=self.option(job, "unroll"), split_rngs=split)

        return over(rnn, nn.Bidirectional), drop

    def made(self, job: Job, layer: Layer, **named: str) -> Any:
        """The cell, without its parameters."""
        gate_fn = {"gate_fn": nn.hard_sigmoid} if job.config.get("recurrent_activation") else {}
        return getattr(nn, self.cell)(layer.units, **gate_fn, **named)

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """nn.Dense, or nn.Embed.attend and a bias."""
        if not tied:
            return nn.Dense(kernel.shape[1], parent=None).apply({"params": {"kernel": kernel, "bias": bias}}, x)
        layer = nn.Embed(*kernel.shape, parent=None)
        return layer.apply({"params": {"embedding": kernel}}, x, method="attend") + bias

    def held(self, job: Job, layer: Layer) -> Dict[str, Any]:
        """Either LSTM cell's: `ii if ig io` have blocks of the kernel, `hi hf hg ho` of recurrent kernel and bias."""
        held: Dict[str, Any] = {}
        for gate, kernel, recurrent, bias in zip(GATES, *map(layer.blocks, ("kernel", "recurrent_kernel", "bias"))):
            held["i" + gate] = {"kernel": kernel}
            held["h" + gate] = {"kernel": recurrent, "bias": bias}
        return held

    def carried(self, job: Job, layer: Layer, x: Any, state: State) -> Any:
        variables = {"params": {"cell": self.held(job, layer)}}
        return nn.RNN(self.made(job, layer), return_carry=True).apply(variables, x, initial_carry=carry_of(state))[0]


def cell_name(layer: Layer) -> str:
    """A cell's name among the module's parameters."""
    return "%scell%d%s" % (layer.stack.sites.replace(".", "_"), layer.number, ("", "_backward")[layer.way])


def masked_cell(inner: Any, layer: Layer) -> Any:
    """A cell that drops out h and c on their way into `inner`."""

    def drop(part: Optional[Part]) -> Any:
        if part is None:
            return lambda state: state
        return lambda state: nn.Dropout(part.site.rate, deterministic=False, **of_state(part))(state)

    class Masked(nn.RNNCellBase):  # type: ignore[misc]
        """nn.Dropout on the carry, then the cell."""

        cell: Any

        @nn.compact  # type: ignore[untyped-decorator]
        def __call__(self, carry: Any, x: Any) -> Any:
            return self.cell(dropped(carry, [drop(part) for part in layer.masks]), x)

        @property
        def num_feature_axes(self) -> int:
            return 1

    return Masked(inner)


@implementation("flax.linen.LSTMCell", ["jax"], KINDS, needs=["jax", "flax"])
class LSTMCell(_Stack):
    """Eight Dense layers."""

    cell = "LSTMCell"


@implementation("flax.linen.OptimizedLSTMCell", ["jax"], KINDS, needs=["jax", "flax"])
class OptimizedLSTMCell(_Stack):
    """The same parameters, joined before one product each for input and state."""

    cell = "OptimizedLSTMCell"


@implementation("flax.linen.GRUCell", ["jax"], "gru", needs=["jax", "flax"])
class GRUCell(_Stack):
    """Dense layers `ir iz in` with biases, `hr hz hn` of which only hn has one: the gates' two biases are one."""

    cell = "GRUCell"
    #: no state.h: the cell blends the h that it is given, so a mask on it would reach further than into the products.
    sites = ("input", "output")

    def held(self, job: Job, layer: Layer) -> Dict[str, Any]:
        """Canonical gates are z, r, n."""
        names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
        held: Dict[str, Any] = {}
        for gate, kernel, recurrent, bias, second in zip("zrn", *map(layer.blocks, names)):
            held["i" + gate] = {"kernel": kernel, "bias": bias if gate == "n" else bias + second}
            held["h" + gate] = {"kernel": recurrent, "bias": second} if gate == "n" else {"kernel": recurrent}
        return held


@implementation("flax.linen.SimpleCell", ["jax"], "simple_rnn", needs=["jax", "flax"])
class SimpleCell(_Stack):
    """Two Dense layers, `i` with the bias and `h`."""

    cell = "SimpleCell"
    sites = ("input", "state.h", "output")

    def held(self, job: Job, layer: Layer) -> Dict[str, Any]:
        """One kernel each."""
        weights = layer.weights
        return {
            "i": {"kernel": weights["kernel"], "bias": weights["bias"]},
            "h": {"kernel": weights["recurrent_kernel"]},
        }
