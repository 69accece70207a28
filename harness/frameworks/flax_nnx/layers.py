"""Flax nnx: its Dropout and Embed, and its cells under `flax.nnx.RNN`.

Cell parameters: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html. A kernel for each gate on the
input's side, kernel and bias on the hidden side (LSTMCell), or all gates side by side (OptimizedLSTMCell); carry (c, h).
"""

from typing import Any, Dict, Optional, Tuple

from harness.frameworks.contract.adapter import Job, Unsupported, implementation
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
from harness.frameworks.jax.stack import KINDS, DropOf, Layer, SequenceOf, State

nnx: Any = Lazy("flax.nnx")


class Nnx(pointwise.Dropping):
    """The layers of nnx. What they draw from is an nnx.Rngs, or a key for one."""

    scales: Tuple[str, ...] = ("inverted",)

    def drop(self, part: Part, array: Any, key: Any, train: bool = True) -> Any:
        """nnx.Dropout(rate, broadcast_dims=..., rngs=nnx.Rngs(key)): nothing is drawn at rates 0 and 1."""
        rngs = key if isinstance(key, nnx.Rngs) else nnx.Rngs(key)
        return nnx.Dropout(part.site.rate, broadcast_dims=part.shared, deterministic=not train, rngs=rngs)(array)

    def embed(self, table: Any, tokens: Any) -> Any:
        return embedding(table)(tokens)


def embedding(table: Any) -> Any:
    """An nnx.Embed with this table."""
    zeros = nnx.initializers.zeros_init()
    layer = nnx.Embed(*table.shape, param_dtype=table.dtype, embedding_init=zeros, rngs=nnx.Rngs(0))
    layer.embedding = nnx.Param(table)
    return layer


@implementation("flax.nnx.Dropout", ["jax"], "dropout", needs=["jax", "flax"])
class Dropout(Nnx, pointwise.Pointwise):
    """nnx.Dropout."""


@implementation("flax.nnx.Embed", ["jax"], "embedding", needs=["jax", "flax"])
class Embedding(Nnx, pointwise.Embedding):
    """nnx.Dropout on the table, then nnx.Embed."""


class _Stack(Nnx, FlaxStack):
    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """nnx.RNN around a cell for each layer, two of them in an nnx.Bidirectional; an nnx.Dropout for each place.

        All dropout layers stand on the streams of one nnx.Rngs; a state's stands in a cell around the cell. nnx.RNN carries a
        stream from step to step, or gives every step the same (`broadcast_rngs`) where the mask is shared over time.
        """
        rngs = nnx.Rngs(**{EACH_STEP: key, ALL_STEPS: key})

        def rnn(layer: Layer) -> Any:
            cell, broadcast = self.cell(job, layer), None
            if any(layer.masks):
                cell, broadcast = masked_cell(cell, layer, rngs), ALL_STEPS
            return nnx.RNN(cell, unroll=self.option(job, "unroll"), broadcast_rngs=broadcast)

        return over(rnn, nnx.Bidirectional), lambda part, array: self.drop(part, array, rngs)

    def decode(self, x: Any, kernel: Any, bias: Any, tied: bool) -> Any:
        """nnx.Linear, or nnx.Embed.attend and a bias."""
        if tied:
            return embedding(kernel).attend(x) + bias
        zeros = nnx.initializers.zeros_init()
        layer = nnx.Linear(*kernel.shape, param_dtype=kernel.dtype, kernel_init=zeros, rngs=nnx.Rngs(0))
        layer.kernel, layer.bias = nnx.Param(kernel), nnx.Param(bias)
        return layer(x)

    def cell(self, job: Job, layer: Layer) -> Any:
        """The cell with its weights in place."""
        raise NotImplementedError

    def held(self, job: Job, layer: Layer) -> Dict[str, Any]:
        return dict(nnx.to_pure_dict(nnx.state(self.cell(job, layer), nnx.Param)))

    def carried(self, job: Job, layer: Layer, x: Any, state: State) -> Any:
        return nnx.RNN(self.cell(job, layer))(x, initial_carry=carry_of(state), return_carry=True)[0]


def masked_cell(inner: Any, layer: Layer, rngs: Any) -> Any:
    """A cell that drops out h and c on their way into `inner`."""

    def dropout(part: Optional[Part]) -> Any:
        return nnx.identity if part is None else nnx.Dropout(part.site.rate, rngs=rngs, **of_state(part))

    class Masked(nnx.nn.recurrent.RNNCellBase):  # type: ignore[misc]
        """nnx.Dropout on the carry, then the cell."""

        def __init__(self) -> None:
            self.cell = inner
            self.drops = nnx.List([dropout(part) for part in layer.masks])

        def __call__(self, carry: Any, x: Any) -> Any:
            return self.cell(dropped(carry, self.drops), x)

        @property
        def num_feature_axes(self) -> int:
            return 1

    return Masked()


def empty(name: str, job: Job, layer: Layer) -> Any:
    """A cell of nnx by its name whose initialisers draw nothing: the weights come afterwards."""
    zeros = nnx.initializers.zeros_init()
    dtype = layer.weights["kernel"].dtype
    chosen = {"kernel_init": zeros, "recurrent_kernel_init": zeros, "bias_init": zeros, "rngs": nnx.Rngs(0)}
    # SimpleCell computes in float32 whatever its arrays are, unless it is told.
    chosen.update(dtype=dtype, param_dtype=dtype)
    if name != "SimpleCell":
        chosen["gate_fn"] = nnx.hard_sigmoid if job.config.get("recurrent_activation") else nnx.sigmoid
    return getattr(nnx, name)(layer.weights["kernel"].shape[0], layer.units, **chosen)


def fill(linear: Any, **arrays: Any) -> None:
    """Put parameters in place: kernel, bias."""
    for name, array in arrays.items():
        setattr(linear, name, nnx.Param(array))


@implementation("flax.nnx.LSTMCell", ["jax"], KINDS, needs=["jax", "flax"])
class LSTMCell(_Stack):
    """Eight nnx.Linear layers; `if_` because `if` is a keyword."""

    def cell(self, job: Job, layer: Layer) -> Any:
        """ii, if_, ig, io: blocks of the kernel; hi, hf, hg, ho: blocks of the recurrent kernel and the bias."""
        cell = empty("LSTMCell", job, layer)
        for gate, kernel, recurrent, bias in zip(GATES, *map(layer.blocks, ("kernel", "recurrent_kernel", "bias"))):
            fill(getattr(cell, "if_" if gate == "f" else "i" + gate), kernel=kernel)
            fill(getattr(cell, "h" + gate), kernel=recurrent, bias=bias)
        return cell


@implementation("flax.nnx.OptimizedLSTMCell", ["jax"], KINDS, needs=["jax", "flax"])
class OptimizedLSTMCell(_Stack):
    """Two nnx.Linear layers whose columns are the gates i, f, g, o."""

    def cell(self, job: Job, layer: Layer) -> Any:
        """dense_i: the kernel; dense_h: the recurrent kernel and the bias."""
        cell = empty("OptimizedLSTMCell", job, layer)
        fill(cell.dense_i, kernel=layer.weights["kernel"])
        fill(cell.dense_h, kernel=layer.weights["recurrent_kernel"], bias=layer.weights["bias"])
        return cell


@implementation("flax.nnx.GRUCell", ["jax"], "gru", needs=["jax", "flax"])
class GRUCell(_Stack):
    """Refused: its documentation has a bias b_hn inside the reset product, the cell of Flax 0.12 has none."""

    sites = ("input", "output")

    def check(self, job: Job) -> None:
        """Never fits the kind: either the second bias is missing, or the reset comes at the wrong place."""
        super().check(job)
        raise Unsupported("flax.nnx.GRUCell has no bias in the recurrent product that the reset gate multiplies")


@implementation("flax.nnx.SimpleCell", ["jax"], "simple_rnn", needs=["jax", "flax"])
class SimpleCell(_Stack):
    """Two nnx.Linear layers, the bias on the input's side."""

    sites = ("input", "state.h", "output")

    def cell(self, job: Job, layer: Layer) -> Any:
        """dense_i: kernel and bias; dense_h: the recurrent kernel."""
        cell = empty("SimpleCell", job, layer)
        fill(cell.dense_i, kernel=layer.weights["kernel"], bias=layer.weights["bias"])
        fill(cell.dense_h, kernel=layer.weights["recurrent_kernel"])
        return cell
