"""`tf_keras.layers.LSTM` and `RNN(LSTMCell)`: Keras 2's recurrent layers, as `lstm` and `encoder_decoder`.

https://www.tensorflow.org/api_docs/python/tf/keras/layers/LSTM (TensorFlow 2.15 and before). It draws four masks a kind,
input before recurrent, and none outside of training. Which of them it uses, and what they are shared over, depends on the
path:

- the default path (tanh and sigmoid, not unrolled, no `recurrent_dropout`) draws masks (B, T, D), so anew at every step, and
  uses the first for all gates;
- the general loop draws (B, D) and (B, H); implementation 1, which `recurrent_dropout` forces, uses one for each gate,
  implementation 2 the first. Eagerly or unrolled they hold for all steps; in the loop of a `tf.function` they are drawn
  anew at every step, after one set that is drawn and thrown away when the loop is prepared.

Seeds: `tf.random.set_seed(job.seed)`; the layers get none, for it would reach one of these paths only.

Import policy: TensorFlow and tf_keras are imported inside functions only.
"""

import sys
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.adapters.base import Job, SiteSpec, Unsupported, implementation
from harness.adapters.keras3_stack import GATES, OUTER, EncoderDecoder, Half, StackedLstm, held_by, keras_native
from harness.adapters.tensorflow_arrays import load, tensors
from harness.adapters.tensorflow_base import Network, TensorFlowAdapter, refuse_rate_one
from harness.tape import BERNOULLI, UNUSED, Slot

NEEDS = ["tensorflow", "tf_keras"]


class _Layers(StackedLstm, TensorFlowAdapter):
    """How tf_keras draws and builds; `cell`: the general loop around LSTMCell instead of the LSTM layer."""

    options = dict(TensorFlowAdapter.options, implementation=None, unroll=False)
    modules: Tuple[str, ...] = ("tf_keras",)
    activations = {None: "sigmoid", "hard_sigmoid_keras2": "hard_sigmoid"}
    cell = False

    def check(self, job: Job) -> None:
        super(_Layers, self).check(job)
        if self.option(job, "implementation") not in (None, 1, 2):
            raise Unsupported("tf_keras has implementation 1 and 2, not %r" % (self.option(job, "implementation"),))
        refuse_rate_one(job, load(*self.modules))

    def network(self, tf: Any, job: Job) -> Network:
        network = self.keras_network(self.keras(), job)
        for name, variable in network.variables.items():
            variable.assign(tf.constant(job.weights[name], dtype=job.dtype))
        return network

    def keras(self) -> Any:
        """The Keras 2 that is meant."""
        return sys.modules["tf_keras"]

    def forced(self, state: float) -> bool:
        """Whether a rate of recurrent dropout forces implementation 1."""
        return state > 0.0

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        tf = load(*self.modules)
        if job.layer != "lstm":
            return held_by(self.network(tf, job).layers, lambda value: np.array(value.numpy()))
        stack = self.stack(self.keras(), self.halves(job)[0])
        stack.name("")
        for name, variable in stack.variables.items():
            variable.assign(tf.constant(job.weights[name], dtype=job.dtype))
        return keras_native(stack, tensors(job.inputs), lambda value: np.array(value.numpy()))

    def redraws(self, half: Half) -> bool:
        """Whether the general loop draws anew at every step."""
        return bool(self.option(half.job, "tf_function")) and not self.option(half.job, "unroll")

    def fused(self, half: Half, index: int) -> bool:
        """Whether a layer takes the default path."""
        standard = half.job.config.get("recurrent_activation") is None
        return standard and not self.cell and not self.option(half.job, "unroll") and half.rates(index)[1] == 0.0

    def trips(self, job: Job) -> Sequence[int]:
        return [
            half.time
            for half in self.halves(job)
            for index in range(half.layers)
            for _ in range(half.directions)
            if self.redraws(half) and not self.fused(half, index) and max(half.rates(index)) > 0.0
        ]

    def layer_slots(self, half: Half, index: int, direction: int) -> List[Slot]:
        below, state = half.rates(index)
        if not half.job.train:
            return []
        if self.fused(half, index):
            shape = (half.batch, half.time, half.features)
            way, at_way = half.way(direction)
            first = Slot(half.prefix + "input", BERNOULLI, shape, (*way, 1, *shape), (*at_way, 0))
            return [first] + [unused(shape)] * (GATES - 1) if below > 0.0 else []
        used = GATES if self.forced(state) or self.option(half.job, "implementation") == 1 else 1
        steps: Sequence[int] = range(half.time) if self.redraws(half) else (0,)
        found: List[Slot] = []
        kinds: List[Tuple[str, Tuple[int, int], Any]] = []
        if below > 0.0:
            kinds.append(("input", (half.batch, half.features), half.way(direction)))
        if state > 0.0:
            kinds.append(("state.h", (half.batch, half.units), half.place(index, direction)))
        if self.redraws(half):
            found += [unused(shape) for _, shape, _ in kinds for _ in range(GATES)]
        for step in steps:
            for at, mask, (lead, place) in kinds:
                canonical = (*lead, used, mask[0], len(steps), mask[1])
                for gate in range(used):
                    time = half.position(step, direction) if len(steps) > 1 else 0
                    where = (*place, gate, slice(None), time)
                    found.append(Slot(half.prefix + at, BERNOULLI, mask, canonical, where))
                found += [unused(mask)] * (GATES - used)
        return found

    def lstm_layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        if self.option(job, "implementation") is not None:
            arguments["implementation"] = self.option(job, "implementation")
        arguments.update(self.gates_activation(job))
        unroll = bool(self.option(job, "unroll"))
        if self.cell:
            outer = {name: arguments.pop(name) for name in OUTER}
            cell = keras.layers.LSTMCell(**arguments)
            return self.both_ways(keras, job, keras.layers.RNN(cell, unroll=unroll, dtype=job.dtype, **outer))
        return self.both_ways(keras, job, keras.layers.LSTM(unroll=unroll, **arguments))

    def dropout_layer(self, keras: Any, job: Job, site: SiteSpec, shape: Any) -> Any:
        return keras.layers.Dropout(site.rate, noise_shape=shape, dtype=job.dtype)

    def mask_tensor(self, keras: Any, mask: np.ndarray) -> Any:
        import tensorflow as tf

        return tf.constant(mask)

    def stack_states(self, keras: Any, states: List[Any]) -> Any:
        import tensorflow as tf

        return tf.stack(states)


class _Cells(_Layers):
    """The cell in the general loop."""

    cell = True


def unused(shape: Tuple[int, ...]) -> Slot:
    """A mask that is drawn and used nowhere."""
    return Slot(UNUSED, BERNOULLI, shape, shape)


@implementation("tf_keras.layers.LSTM", ["tensorflow"], "lstm", needs=NEEDS)
class Lstm(_Layers):
    """`tf_keras.layers.LSTM`; options as its arguments (None: its default)."""


@implementation("tf_keras.layers.LSTMCell", ["tensorflow"], "lstm", needs=NEEDS)
class LstmCell(_Cells):
    """`tf_keras.layers.RNN(tf_keras.layers.LSTMCell(...))`."""


@implementation("tf_keras.layers.LSTM", ["tensorflow"], "encoder_decoder", needs=NEEDS)
class LstmEncoderDecoder(EncoderDecoder, _Layers):
    """Two `tf_keras.layers.LSTM`, the second with `initial_state=[h, c]` of the first."""


@implementation("tf_keras.layers.LSTMCell", ["tensorflow"], "encoder_decoder", needs=NEEDS)
class LstmCellEncoderDecoder(EncoderDecoder, _Cells):
    """The same with `tf_keras.layers.RNN(tf_keras.layers.LSTMCell(...))`."""
