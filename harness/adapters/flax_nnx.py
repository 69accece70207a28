"""Flax nnx: `flax.nnx.Dropout`, `flax.nnx.LSTMCell` and `flax.nnx.OptimizedLSTMCell` under `flax.nnx.RNN`.

Cell parameters: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html. A kernel for each gate on the
input's side, kernel and bias on the hidden side (LSTMCell), or all gates side by side (OptimizedLSTMCell); carry (c, h).

Imported on Python 3.6 with NumPy alone: flax is imported inside functions.
"""

from typing import Any, Dict, List, Tuple

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, whole
from harness.adapters.jax_stack import DropOf, Half, Part, SequenceOf, StackAdapter, State, Weights, broadcast_dims
from harness.tape import Slot

GATES = ("i", "f", "g", "o")


@implementation("flax.nnx.Dropout", ["jax"], "dropout", needs=["jax", "flax"])
class Dropout(JaxAdapter):
    """nnx.Dropout(rate, broadcast_dims=..., rngs=nnx.Rngs(seed)): nothing is drawn at rates 0 and 1."""

    sites = ("input",)

    def check(self, job):
        # type: (Job) -> None
        """Survivors are always scaled."""
        super(Dropout, self).check(job)
        if any(site.scale != "inverted" for site in job.sites):
            raise Unsupported("flax.nnx.Dropout always scales by 1 / (1 - rate)")

    def slots(self, job):
        # type: (Job) -> List[Slot]
        """One mask."""
        return [whole(site) for site in job.sites if active(job, site) and site.rate < 1.0]

    def function(self, job):
        # type: (Job) -> Function
        """The layer on x."""
        (site,) = job.sites

        def call(key, arrays):
            # type: (Any, Dict[str, Any]) -> Dict[str, Any]
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
    options = {"jit": True, "unroll": 1}

    def dropout(self, job, key):
        # type: (Job, Any) -> DropOf
        """An nnx.Dropout for each place, all on one stream of an nnx.Rngs."""
        from flax import nnx

        rngs = nnx.Rngs(key)

        def drop(part, array):
            # type: (Part, Any) -> Any
            return nnx.Dropout(part.site.rate, broadcast_dims=broadcast_dims(part.shape, array.shape), rngs=rngs)(array)

        return drop

    def cell(self, features, units, weights):
        # type: (int, int, Weights) -> Any
        """The cell with its weights in place."""
        raise NotImplementedError

    def sequence(self, job, half):
        # type: (Job, Half) -> SequenceOf
        """nnx.RNN around the cell."""
        unroll = self.option(job, "unroll")

        def run(layer, weights, x, state):
            # type: (int, Weights, Any, State) -> Tuple[Any, State]
            from flax import nnx

            cell = self.cell(x.shape[-1], job.config["units"], weights)
            h0, c0 = state
            (c, h), y = nnx.RNN(cell, return_carry=True, unroll=unroll)(x, initial_carry=(c0, h0))
            return y, (h, c)

        return run


def _zeros(dtype):
    # type: (Any) -> Dict[str, Any]
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

    def cell(self, features, units, weights):
        # type: (int, int, Weights) -> Any
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

    def cell(self, features, units, weights):
        # type: (int, int, Weights) -> Any
        """dense_i: the kernel; dense_h: the recurrent kernel and the bias."""
        from flax import nnx

        cell = nnx.OptimizedLSTMCell(features, units, **_zeros(weights.kernel.dtype))
        cell.dense_i.kernel = nnx.Param(weights.kernel)
        cell.dense_h.kernel = nnx.Param(weights.recurrent_kernel)
        cell.dense_h.bias = nnx.Param(weights.bias)
        return cell
