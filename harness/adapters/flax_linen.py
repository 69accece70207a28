"""Flax Linen: `flax.linen.Dropout`, `flax.linen.LSTMCell` and `flax.linen.OptimizedLSTMCell` under `flax.linen.RNN`.

https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html: parameters `ii if ig io` (kernels) and
`hi hf hg ho` (kernels and biases) in both cells, carry (c, h). Keys come from the path of module names, so the names below
are part of what is drawn: Linen's automatic ones, as a model written in one compact method has them.

Imported on Python 3.6 with NumPy alone: flax is imported inside functions.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, whole
from harness.adapters.jax_stack import (
    DropOf,
    Half,
    Layer,
    Part,
    SequenceOf,
    StackAdapter,
    State,
    Weights,
    broadcast_dims,
    halves,
    layer_weights,
)
from harness.tape import Slot

GATES = ("i", "f", "g", "o")

#: Collections of keys: Linen's usual one, and one for masks that every step of a sequence uses.
EACH_STEP = "dropout"
ALL_STEPS = "recurrent_dropout"


@implementation("flax.linen.Dropout", ["jax"], "dropout", needs=["jax", "flax"])
class Dropout(JaxAdapter):
    """nn.Dropout(rate, broadcast_dims=...).apply(..., rngs={"dropout": key}): nothing is drawn at rates 0 and 1."""

    sites = ("input",)

    def check(self, job: Job) -> None:
        """Survivors are always scaled."""
        super(Dropout, self).check(job)
        if any(site.scale != "inverted" for site in job.sites):
            raise Unsupported("flax.linen.Dropout always scales by 1 / (1 - rate)")

    def slots(self, job: Job) -> List[Slot]:
        """One mask."""
        return [whole(site) for site in job.sites if active(job, site) and site.rate < 1.0]

    def function(self, job: Job) -> Function:
        """The layer on x."""
        (site,) = job.sites

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import flax.linen as nn

            x = arrays["x"]
            layer = nn.Dropout(
                site.rate, broadcast_dims=broadcast_dims(site.shape, x.shape), deterministic=not job.train
            )
            return {"y": layer.apply({}, x, rngs={"dropout": key} if job.train else {})}

        return call


def cell_name(half: Half, layer: int) -> str:
    """A cell's name among the module's parameters; tied stacks have the same."""
    return "%scell%d" % (half.weights.replace(".", "_"), layer)


def cell_parameters(weights: Weights) -> Dict[str, Any]:
    """Parameters of either cell: `ii if ig io` have blocks of the kernel, `hi hf hg ho` those of recurrent kernel and bias."""
    units = weights.recurrent_kernel.shape[0]
    parameters = {}
    for number, gate in enumerate(GATES):
        block = slice(number * units, (number + 1) * units)
        parameters["i" + gate] = {"kernel": weights.kernel[:, block]}
        parameters["h" + gate] = {"kernel": weights.recurrent_kernel[:, block], "bias": weights.bias[block]}
    return parameters


class _Stack(StackAdapter):
    #: the cell's name in flax.linen.
    cell = ""

    def function(self, job: Job) -> Function:
        """The layer kind as the one compact method of a Linen module, applied to parameters made of canonical weights."""
        adapter = self

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import flax.linen as nn

            class Model(nn.Module):  # type: ignore[misc]
                """The pipeline with nn.RNN and nn.Dropout."""

                @nn.compact  # type: ignore[untyped-decorator]
                def __call__(self, arrays: Dict[str, Any]) -> Dict[str, Any]:
                    return adapter.run_stacks(job, arrays, *adapter.model(job, None))

            parameters = {
                cell_name(half, layer): cell_parameters(layer_weights(job, half, layer, arrays))
                for half in halves(job)
                for layer in range(job.config.get("layers", 1))
            }
            rngs = {EACH_STEP: key, ALL_STEPS: key} if job.train else {}
            return dict(Model().apply({"params": parameters}, arrays, rngs=rngs))

        return call

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """What the module's compact method calls: nn.RNN around a cell for each layer, an nn.Dropout for each place.

        Cells are shared by name, so that tied stacks use one; dropout layers are `Dropout_0`, `Dropout_1` … as they come.
        A state's dropout stands in a cell around the cell, on the collection that nn.RNN splits at every step or, where
        the mask is shared over time, on the one that it does not (`split_rngs`).
        """
        import flax.linen as nn

        cells: Dict[str, Any] = {}
        unroll = self.option(job, "unroll")

        def drop(part: Part, array: Any) -> Any:
            shared = broadcast_dims(part.shape, array.shape)
            return nn.Dropout(part.site.rate, broadcast_dims=shared, deterministic=False)(array)

        def sequence(layer: Layer, x: Any, state: State) -> Tuple[Any, State]:
            name = cell_name(layer.half, layer.number)
            if name not in cells:
                cells[name] = getattr(nn, self.cell)(job.config["units"], name=name)
            cell = cells[name] if layer.h is None and layer.c is None else masked_cell(cells[name], layer)
            split = {"params": False, EACH_STEP: True, ALL_STEPS: False}
            h0, c0 = state
            (c, h), y = nn.RNN(cell, return_carry=True, unroll=unroll, split_rngs=split)(x, initial_carry=(c0, h0))
            return y, (h, c)

        return sequence, drop


def masked_cell(inner: Any, layer: Layer) -> Any:
    """A cell that drops out h and c on their way into `inner`."""
    import flax.linen as nn

    def drop(part: Optional[Part], array: Any) -> Any:
        if part is None:
            return array
        return nn.Dropout(
            part.site.rate,
            broadcast_dims=(0,) if part.shares("batch") else (),
            deterministic=False,
            rng_collection=ALL_STEPS if part.shares("time") else EACH_STEP,
        )(array)

    class Masked(nn.RNNCellBase):  # type: ignore[misc]
        """nn.Dropout on the carry, then the cell."""

        cell: Any

        @nn.compact  # type: ignore[untyped-decorator]
        def __call__(self, carry: Any, x: Any) -> Any:
            c, h = carry
            h = drop(layer.h, h)
            return self.cell((drop(layer.c, c), h), x)

        @property
        def num_feature_axes(self) -> int:
            return 1

    return Masked(inner)


@implementation("flax.linen.LSTMCell", ["jax"], "lstm", needs=["jax", "flax"])
@implementation("flax.linen.LSTMCell", ["jax"], "encoder_decoder", needs=["jax", "flax"])
class LSTMCell(_Stack):
    """Eight Dense layers."""

    cell = "LSTMCell"


@implementation("flax.linen.OptimizedLSTMCell", ["jax"], "lstm", needs=["jax", "flax"])
@implementation("flax.linen.OptimizedLSTMCell", ["jax"], "encoder_decoder", needs=["jax", "flax"])
class OptimizedLSTMCell(_Stack):
    """The same parameters, joined before one product each for input and state."""

    cell = "OptimizedLSTMCell"
