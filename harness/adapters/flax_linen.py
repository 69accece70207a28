"""Flax Linen: `flax.linen.Dropout`, `flax.linen.LSTMCell` and `flax.linen.OptimizedLSTMCell` under `flax.linen.RNN`.

https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html: parameters `ii if ig io` (kernels) and
`hi hf hg ho` (kernels and biases) in both cells, carry (c, h). Keys come from the path of module names, so the names below
are part of what is drawn: Linen's automatic ones, as a model written in one compact method has them.

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
    drop_weights,
    initial_states,
    places,
)
from harness.tape import Slot


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


def cell_name(half: str, number: int, way: int) -> str:
    """A cell's name among the module's parameters."""
    return "%scell%d%s" % (half.replace(".", "_"), number, ("", "_backward")[way])


class _Stack(StackAdapter):
    settings: Tuple[str, ...] = FLAX_SETTINGS
    #: the cell's name in flax.linen.
    cell = ""

    def check(self, job: Job) -> None:
        """Refuse what a Flax cell or RNN has no word for."""
        super(_Stack, self).check(job)
        check_settings(job)

    def function(self, job: Job) -> Function:
        """The layer kind as the one compact method of a Linen module, applied to parameters made of canonical weights.

        Parameters are data in Linen, so a dropped weight is an nn.Dropout applied to them beforehand, with a key of its own.
        """
        adapter = self

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import flax.linen as nn
            import jax

            class Model(nn.Module):  # type: ignore[misc]
                """The pipeline with nn.RNN and nn.Dropout."""

                @nn.compact  # type: ignore[untyped-decorator]
                def __call__(self, arrays: Dict[str, Any], weights: Any) -> Dict[str, Any]:
                    return adapter.pipeline(job, arrays, weights, *adapter.model(job, None))

            count = sum(len(self.weight_parts(job, *place)) for place in places(job))
            keys = iter(jax.random.split(key, count + 1) if count else [key])

            def drop(part: Part, array: Any) -> Any:
                layer = nn.Dropout(part.site.rate, broadcast_dims=part.shared, deterministic=False)
                return layer.apply({}, array, rngs={EACH_STEP: next(keys)} if self.drawn(part) else {})

            weights = drop_weights(job, arrays, drop)
            key = next(keys)
            parameters = {cell_name(*place): self.parameters(found) for place, found in weights.items()}
            rngs = {EACH_STEP: key, ALL_STEPS: key} if job.train else {}
            return dict(Model().apply({"params": parameters}, arrays, weights, rngs=rngs))

        return call

    def parameters(self, weights: Weights) -> Dict[str, Any]:
        """Either LSTM cell's: `ii if ig io` have blocks of the kernel, `hi hf hg ho` of recurrent kernel and bias."""
        units = weights.units
        parameters = {}
        for number, gate in enumerate(GATES):
            block = slice(number * units, (number + 1) * units)
            parameters["i" + gate] = {"kernel": weights.kernel[:, block]}
            parameters["h" + gate] = {"kernel": weights.recurrent_kernel[:, block], "bias": weights.bias[block]}
        return parameters

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The cells' parameters, and of one layer in one direction the carry of nn.RNN."""
        if not single(job) or job.config.get("recurrent_activation"):
            with precision(job.dtype):
                return stacked(self, job, self.parameters)
        import flax.linen as nn

        with precision(job.dtype):
            arrays, weights = given(self, job)
            rnn = nn.RNN(getattr(nn, self.cell)(weights.units), return_carry=True)
            held = self.parameters(weights)
            state = initial_states(job, arrays, arrays["x"])[0][0]
            variables = {"params": {"cell": held}}
            carry, _ = rnn.apply(variables, arrays["x"], initial_carry=carry_of(job, state))
            return shown(held, carry)

    def model(self, job: Job, key: Any) -> Tuple[SequenceOf, DropOf]:
        """What the module's compact method calls: nn.RNN around a cell for each layer, two of them in an nn.Bidirectional.

        Dropout layers are `Dropout_0`, `Dropout_1` … as they come. A state's stands in a cell around the cell, on the collection
        that nn.RNN splits at every step or, where the mask is shared over time, on the one that it does not (`split_rngs`).
        """
        import flax.linen as nn

        unroll = self.option(job, "unroll")
        gate_fn = {"gate_fn": nn.hard_sigmoid} if job.config.get("recurrent_activation") else {}

        def drop(part: Part, array: Any) -> Any:
            return nn.Dropout(part.site.rate, broadcast_dims=part.shared, deterministic=False)(array)

        def rnn(layer: Layer) -> Any:
            name = cell_name(layer.half.sites, layer.number, layer.direction)
            cell = getattr(nn, self.cell)(layer.weights.units, name=name, **gate_fn)
            if layer.h is not None or layer.c is not None:
                cell = masked_cell(cell, layer)
            return nn.RNN(cell, unroll=unroll, split_rngs={"params": False, EACH_STEP: True, ALL_STEPS: False})

        def sequence(ways: Sequence[Layer], x: Any, states: Sequence[State], lengths: Any) -> Tuple[Any, List[State]]:
            runs = [rnn(layer) for layer in ways]
            carries = [carry_of(job, state) for state in states]
            if len(ways) == 1:
                carry, y = runs[0](
                    x, initial_carry=carries[0], seq_lengths=lengths, return_carry=True, reverse=ways[0].reverse
                )
                return y, [state_of(carry)]
            both = nn.Bidirectional(*runs, return_carry=True)
            carries, y = both(x, initial_carry=tuple(carries), seq_lengths=lengths)
            return y, [state_of(carry) for carry in carries]

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
            if not isinstance(carry, tuple):
                return self.cell(drop(layer.h, carry), x)
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


@implementation("flax.linen.GRUCell", ["jax"], "gru", needs=["jax", "flax"])
class GRUCell(_Stack):
    """Dense layers `ir iz in` with biases, `hr hz hn` of which only hn has one: the gates' two biases are one."""

    cell = "GRUCell"
    #: no state.h: the cell blends the h that it is given, so a mask on it would reach further than into the products.
    sites = ("input", "output")

    def parameters(self, weights: Weights) -> Dict[str, Any]:
        """Canonical gates are z, r, n."""
        units = weights.units
        parameters = {}
        for number, gate in enumerate(("z", "r", "n")):
            block = slice(number * units, (number + 1) * units)
            bias, second = weights.bias[block], weights.recurrent_bias[block]
            own = gate == "n"
            parameters["i" + gate] = {"kernel": weights.kernel[:, block], "bias": bias if own else bias + second}
            parameters["h" + gate] = {"kernel": weights.recurrent_kernel[:, block]}
        parameters["hn"]["bias"] = weights.recurrent_bias[2 * units :]
        return parameters


@implementation("flax.linen.SimpleCell", ["jax"], "simple_rnn", needs=["jax", "flax"])
class SimpleCell(_Stack):
    """Two Dense layers, `i` with the bias and `h`."""

    cell = "SimpleCell"
    sites = ("input", "state.h", "output")

    def parameters(self, weights: Weights) -> Dict[str, Any]:
        """One kernel each."""
        return {
            "i": {"kernel": weights.kernel, "bias": weights.bias},
            "h": {"kernel": weights.recurrent_kernel},
        }
