"""Flax nnx: `flax.nnx.Dropout`, `flax.nnx.LSTMCell` and `flax.nnx.OptimizedLSTMCell` under `flax.nnx.RNN`.

Cell parameters: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html. A kernel for each gate on the
input's side, kernel and bias on the hidden side (LSTMCell), or all gates side by side (OptimizedLSTMCell); carry (c, h).

Imported on Python 3.6 with NumPy alone: flax is imported inside functions.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, whole
from harness.adapters.jax_stack import DropOf, Layer, Part, SequenceOf, StackAdapter, State, Weights, broadcast_dims
from harness.tape import Slot

GATES = ("i", "f", "g", "o")

#: Streams of keys: nnx.Dropout's own, and one for masks that every step of a sequence uses.
EACH_STEP = "dropout"
ALL_STEPS = "recurrent_dropout"


@implementation("flax.nnx.Dropout", ["jax"], "dropout", needs=["jax", "flax"])
class Dropout(JaxAdapter):
    """nnx.Dropout(rate, broadcast_dims=..., rngs=nnx.Rngs(seed)): nothing is drawn at rates 0 and 1."""

    sites = ("input",)

    def check(self, job: Job) -> None:
        """Survivors are always scaled."""
        super(Dropout, self).check(job)
        if any(site.scale != "inverted" for site in job.sites):
            raise Unsupported("flax.nnx.Dropout always scales by 1 / (1 - rate)")

    def slots(self, job: Job) -> List[Slot]:
        """One mask."""
        return [whole(site) for site in job.sites if active(job, site) and site.rate < 1.0]

    def function(self, job: Job) -> Function:
        """The layer on x."""
        (site,) = job.sites

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            from flax import nnx

            x = arrays["x"]
            layer = nnx.Dropout(
                site.rate,
                broadcast_dims=broadcast_dims(site.shape, x.shape),
                deterministic=not job.train,
                rngs=nnx.Rngs(key),
            )
            return {"y": layer(x)}

        return call


class _Stack(StackAdapter):
    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """nnx.RNN around a cell for each layer; an nnx.Dropout for each place, all on the streams of one nnx.Rngs.

        A state's dropout stands in a cell around the cell. nnx.RNN carries a stream from step to step, or gives every step the
        same (`broadcast_rngs`) where the mask is shared over time.
        """
        from flax import nnx

        rngs = nnx.Rngs(**{EACH_STEP: key, ALL_STEPS: key})
        unroll = self.option(job, "unroll")

        def drop(part: Part, array: Any) -> Any:
            return nnx.Dropout(part.site.rate, broadcast_dims=broadcast_dims(part.shape, array.shape), rngs=rngs)(array)

        def sequence(layer: Layer, x: Any, state: State) -> Tuple[Any, State]:
            cell = self.cell(x.shape[-1], job.config["units"], layer.weights)
            broadcast = None
            if layer.h is not None or layer.c is not None:
                cell, broadcast = masked_cell(cell, layer, rngs), ALL_STEPS
            h0, c0 = state
            run = nnx.RNN(cell, return_carry=True, unroll=unroll, broadcast_rngs=broadcast)
            (c, h), y = run(x, initial_carry=(c0, h0))
            return y, (h, c)

        return sequence, drop

    def cell(self, features: int, units: int, weights: Weights) -> Any:
        """The cell with its weights in place."""
        raise NotImplementedError


def masked_cell(inner: Any, layer: Layer, rngs: Any) -> Any:
    """A cell that drops out h and c on their way into `inner`."""
    from flax import nnx

    def dropout(part: Optional[Part]) -> Any:
        if part is None:
            return None
        return nnx.Dropout(
            part.site.rate,
            broadcast_dims=(0,) if part.shares("batch") else (),
            rng_collection=ALL_STEPS if part.shares("time") else EACH_STEP,
            rngs=rngs,
        )

    class Masked(nnx.nn.recurrent.RNNCellBase):  # type: ignore[misc]
        """nnx.Dropout on the carry, then the cell."""

        def __init__(self) -> None:
            self.cell = inner
            self.drop_h = dropout(layer.h)
            self.drop_c = dropout(layer.c)

        def __call__(self, carry: Any, x: Any) -> Any:
            c, h = carry
            h = h if self.drop_h is None else self.drop_h(h)
            c = c if self.drop_c is None else self.drop_c(c)
            return self.cell((c, h), x)

        @property
        def num_feature_axes(self) -> int:
            return 1

    return Masked()


def _zeros(dtype: Any) -> Dict[str, Any]:
    """Initialisers that draw nothing: the weights are put in afterwards."""
    from flax import nnx

    zeros = nnx.initializers.zeros_init()
    return {
        "kernel_init": zeros,
        "recurrent_kernel_init": zeros,
        "bias_init": zeros,
        "param_dtype": dtype,
        "rngs": nnx.Rngs(0),
    }


@implementation("flax.nnx.LSTMCell", ["jax"], "lstm", needs=["jax", "flax"])
@implementation("flax.nnx.LSTMCell", ["jax"], "encoder_decoder", needs=["jax", "flax"])
class LSTMCell(_Stack):
    """Eight nnx.Linear layers; `if_` because `if` is a keyword."""

    def cell(self, features: int, units: int, weights: Weights) -> Any:
        """ii, if_, ig, io: blocks of the kernel; hi, hf, hg, ho: blocks of the recurrent kernel and the bias."""
        from flax import nnx

        cell = nnx.LSTMCell(features, units, **_zeros(weights.kernel.dtype))
        for number, gate in enumerate(GATES):
            block = slice(number * units, (number + 1) * units)
            entering = getattr(cell, "if_" if gate == "f" else "i" + gate)
            hidden = getattr(cell, "h" + gate)
            entering.kernel = nnx.Param(weights.kernel[:, block])
            hidden.kernel = nnx.Param(weights.recurrent_kernel[:, block])
            hidden.bias = nnx.Param(weights.bias[block])
        return cell


@implementation("flax.nnx.OptimizedLSTMCell", ["jax"], "lstm", needs=["jax", "flax"])
@implementation("flax.nnx.OptimizedLSTMCell", ["jax"], "encoder_decoder", needs=["jax", "flax"])
class OptimizedLSTMCell(_Stack):
    """Two nnx.Linear layers whose columns are the gates i, f, g, o."""

    def cell(self, features: int, units: int, weights: Weights) -> Any:
        """dense_i: the kernel; dense_h: the recurrent kernel and the bias."""
        from flax import nnx

        cell = nnx.OptimizedLSTMCell(features, units, **_zeros(weights.kernel.dtype))
        cell.dense_i.kernel = nnx.Param(weights.kernel)
        cell.dense_h.kernel = nnx.Param(weights.recurrent_kernel)
        cell.dense_h.bias = nnx.Param(weights.bias)
        return cell
