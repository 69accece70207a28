"""Flax nnx: `flax.nnx.Dropout`, `flax.nnx.LSTMCell` and `flax.nnx.OptimizedLSTMCell` under `flax.nnx.RNN`.

Cell parameters: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html. A kernel for each gate on the
input's side, kernel and bias on the hidden side (LSTMCell), or all gates side by side (OptimizedLSTMCell); carry (c, h).

Imported on Python 3.6 with NumPy alone: flax is imported inside functions.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.flax_settings import (
    ALL_STEPS,
    EACH_STEP,
    FLAX_SETTINGS,
    GATES,
    carry_of,
    check_settings,
    state_of,
)
from harness.adapters.jax_adapter import Function, JaxAdapter, active, precision, whole
from harness.adapters.jax_native import given, shown, single, stacked
from harness.adapters.jax_stack import (
    DropOf,
    Layer,
    Part,
    SequenceOf,
    StackAdapter,
    State,
    Weights,
    broadcast_dims,
    initial_states,
)
from harness.tape import Slot


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
    settings: Tuple[str, ...] = FLAX_SETTINGS

    def check(self, job: Job) -> None:
        """Refuse what a Flax cell or RNN has no word for."""
        super(_Stack, self).check(job)
        check_settings(job)

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """nnx.RNN around a cell for each layer, two of them in an nnx.Bidirectional; an nnx.Dropout for each place.

        All dropout layers stand on the streams of one nnx.Rngs; a state's stands in a cell around the cell. nnx.RNN carries a
        stream from step to step, or gives every step the same (`broadcast_rngs`) where the mask is shared over time.
        """
        from flax import nnx

        rngs = nnx.Rngs(**{EACH_STEP: key, ALL_STEPS: key})
        unroll = self.option(job, "unroll")

        def drop(part: Part, array: Any) -> Any:
            return nnx.Dropout(part.site.rate, broadcast_dims=part.shared, rngs=rngs)(array)

        def rnn(layer: Layer, features: int) -> Any:
            cell = self.cell(features, job, layer.weights)
            broadcast = None
            if layer.h is not None or layer.c is not None:
                cell, broadcast = masked_cell(cell, layer, rngs), ALL_STEPS
            return nnx.RNN(cell, unroll=unroll, broadcast_rngs=broadcast)

        def sequence(ways: Sequence[Layer], x: Any, states: Sequence[State], lengths: Any) -> Tuple[Any, List[State]]:
            runs = [rnn(layer, x.shape[-1]) for layer in ways]
            carries = [carry_of(job, state) for state in states]
            if len(ways) == 1:
                carry, y = runs[0](
                    x, initial_carry=carries[0], seq_lengths=lengths, return_carry=True, reverse=ways[0].reverse
                )
                return y, [state_of(carry)]
            both = nnx.Bidirectional(*runs)
            carries, y = both(x, initial_carry=tuple(carries), seq_lengths=lengths, return_carry=True)
            return y, [state_of(carry) for carry in carries]

        return sequence, drop

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The cells' parameters, and of one layer in one direction the carry of nnx.RNN."""
        from flax import nnx

        def parameters(weights: Weights) -> Any:
            cell = self.cell(weights.kernel.shape[0], job, weights)
            return nnx.to_pure_dict(nnx.state(cell, nnx.Param))

        if not single(job):
            with precision(job.dtype):
                return stacked(self, job, parameters)
        with precision(job.dtype):
            arrays, weights = given(self, job)
            cell = self.cell(arrays["x"].shape[-1], job, weights)
            held = nnx.to_pure_dict(nnx.state(cell, nnx.Param))
            state = initial_states(job, arrays, arrays["x"])[0][0]
            carry, _ = nnx.RNN(cell)(arrays["x"], initial_carry=carry_of(job, state), return_carry=True)
            return shown(held, carry)

    def cell(self, features: int, job: Job, weights: Weights) -> Any:
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
            if not isinstance(carry, tuple):
                return self.cell(self.drop_h(carry), x)
            c, h = carry
            h = h if self.drop_h is None else self.drop_h(h)
            c = c if self.drop_c is None else self.drop_c(c)
            return self.cell((c, h), x)

        @property
        def num_feature_axes(self) -> int:
            return 1

    return Masked()


def _choices(job: Job, weights: Weights) -> Dict[str, Any]:
    """A cell's arguments: dtype, gate activation, and initialisers that draw nothing: the weights come afterwards."""
    from flax import nnx

    zeros = nnx.initializers.zeros_init()
    dtype = weights.kernel.dtype
    chosen = {"kernel_init": zeros, "recurrent_kernel_init": zeros, "bias_init": zeros, "rngs": nnx.Rngs(0)}
    # SimpleCell computes in float32 whatever its arrays are, unless it is told.
    chosen.update(dtype=dtype, param_dtype=dtype)
    if job.layer != "simple_rnn":
        chosen["gate_fn"] = nnx.hard_sigmoid if job.config.get("recurrent_activation") else nnx.sigmoid
    return chosen


@implementation("flax.nnx.LSTMCell", ["jax"], "lstm", needs=["jax", "flax"])
@implementation("flax.nnx.LSTMCell", ["jax"], "encoder_decoder", needs=["jax", "flax"])
class LSTMCell(_Stack):
    """Eight nnx.Linear layers; `if_` because `if` is a keyword."""

    def cell(self, features: int, job: Job, weights: Weights) -> Any:
        """ii, if_, ig, io: blocks of the kernel; hi, hf, hg, ho: blocks of the recurrent kernel and the bias."""
        from flax import nnx

        units = weights.units
        cell = nnx.LSTMCell(features, units, **_choices(job, weights))
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

    def cell(self, features: int, job: Job, weights: Weights) -> Any:
        """dense_i: the kernel; dense_h: the recurrent kernel and the bias."""
        from flax import nnx

        cell = nnx.OptimizedLSTMCell(features, weights.units, **_choices(job, weights))
        cell.dense_i.kernel = nnx.Param(weights.kernel)
        cell.dense_h.kernel = nnx.Param(weights.recurrent_kernel)
        cell.dense_h.bias = nnx.Param(weights.bias)
        return cell


@implementation("flax.nnx.GRUCell", ["jax"], "gru", needs=["jax", "flax"])
class GRUCell(_Stack):
    """Refused: its documentation has a bias b_hn inside the reset product, the cell of Flax 0.12 has none."""

    sites = ("input", "output")

    def check(self, job: Job) -> None:
        """Never fits the kind: either the second bias is missing, or the reset comes at the wrong place."""
        super(GRUCell, self).check(job)
        raise Unsupported("flax.nnx.GRUCell has no bias in the recurrent product that the reset gate multiplies")


@implementation("flax.nnx.SimpleCell", ["jax"], "simple_rnn", needs=["jax", "flax"])
class SimpleCell(_Stack):
    """Two nnx.Linear layers, the bias on the input's side."""

    sites = ("input", "state.h", "output")

    def cell(self, features: int, job: Job, weights: Weights) -> Any:
        """dense_i: kernel and bias; dense_h: the recurrent kernel."""
        from flax import nnx

        cell = nnx.SimpleCell(features, weights.units, **_choices(job, weights))
        cell.dense_i.kernel = nnx.Param(weights.kernel)
        cell.dense_i.bias = nnx.Param(weights.bias)
        cell.dense_h.kernel = nnx.Param(weights.recurrent_kernel)
        return cell
