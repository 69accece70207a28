"""`tf_keras.layers.LSTM`, `RNN(LSTMCell)`, `GRU` and `SimpleRNN`: Keras 2's recurrent layers.

https://www.tensorflow.org/api_docs/python/tf/keras/layers/LSTM (TensorFlow 2.15 and before). A layer draws a mask a gate of its
input, then of its h, and none outside of training. Which of them it uses, and what they are shared over, depends on the path:

- the default path (not unrolled, no `recurrent_dropout`, tanh and sigmoid; a GRU that resets after the product) draws masks
  (B, T, D), so anew at every step, and uses the first for all gates;
- the general loop draws (B, D) and (B, H); implementation 1, which `recurrent_dropout` forces, uses one for each gate,
  implementation 2 the first. Eagerly or unrolled they hold for all steps; in the loop of a `tf.function` they are drawn
  anew at every step, after one set that is drawn and thrown away when the loop is prepared.

Seeds: `tf.random.set_seed(job.seed)`; the layers get none, for it would reach one of these paths only.

Import policy: TensorFlow and tf_keras are imported inside functions only.
"""

import sys
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.tensorflow.arrays import load, tensors
from harness.frameworks.tensorflow.base import Network, TensorFlowAdapter, refuse_rate_one
from harness.frameworks.tensorflow.stack import (
    ACTIVATIONS_2,
    Drawn,
    KerasRecurrent,
    LstmFacts,
    keras_native,
    prepared,
    rates,
)

NEEDS = ["tensorflow", "tf_keras"]


class Recurrent(KerasRecurrent, TensorFlowAdapter):
    """How tf_keras draws and builds."""

    options = dict(TensorFlowAdapter.options, implementation=None, unroll=False)
    choices: Dict[str, Any] = {"implementation": (None, 1, 2)}
    modules: Sequence[str] = ("tf_keras",)
    activations = ACTIVATIONS_2

    def check(self, job: Job) -> None:
        super().check(job)
        refuse_rate_one(job, load(*self.modules))

    def keras(self) -> Any:
        """The Keras 2 that is meant."""
        return sys.modules["tf_keras"]

    def forced(self, state: float) -> bool:
        """Whether a rate of recurrent dropout forces implementation 1."""
        return state > 0.0

    def redraws(self, job: Job) -> bool:
        """Whether the general loop draws anew at every step."""
        return bool(self.option(job, "tf_function")) and not self.option(job, "unroll")

    def fused(self, job: Job, stack: Geometry) -> bool:
        """Whether a stack's layers take the default path."""
        has_one = job.config.get("reset_after") if "reset_after" in job.config else stack.gates > 1
        plain = job.config.get("recurrent_activation") is None and rates(job, stack)[1] == 0.0
        return bool(has_one) and plain and not self.cell and not self.option(job, "unroll")

    def drawn(self, job: Job, stack: Geometry) -> Drawn:
        if self.fused(job, stack):
            return Drawn((("input", 1),), made=stack.gates, whole=True)
        each = self.forced(rates(job, stack)[1]) or self.option(job, "implementation") == 1
        used = stack.gates if each else 1
        return Drawn((("input", used), ("state.h", used)), made=stack.gates, anew=self.redraws(job))

    def trips(self, job: Job) -> Sequence[int]:
        return [
            stack.time
            for stack in job.stacks
            for layer, direction in stack.places()
            if self.drawn(job, stack).anew and self.layer_slots(job, stack, layer, direction)
        ]

    def network(self, tf: Any, job: Job) -> Network:
        network = self.keras_network(self.keras(), job)
        for name, variable in network.variables.items():
            variable.assign(tf.constant(job.weights[name], dtype=job.dtype))
        return network

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        layers = self.network(load(*self.modules), prepared(job)).layers
        return keras_native(job, layers, tensors(job.inputs), lambda value: np.array(value.numpy()))

    def mask_tensor(self, keras: Any, mask: np.ndarray) -> Any:
        return load().constant(mask)

    def pile(self, keras: Any, arrays: List[Any]) -> Any:
        return load().stack(arrays)


class LstmRecurrent(LstmFacts, Recurrent):
    """An LSTM."""

    values: Dict[str, Tuple[Any, ...]] = {**LstmFacts.values, "recurrent_activation": ("hard_sigmoid_keras2",)}


@implementation("tf_keras.layers.LSTM", ["tensorflow"], "lstm", needs=NEEDS)
@implementation("tf_keras.layers.LSTM", ["tensorflow"], "encoder_decoder", needs=NEEDS)
class Lstm(LstmRecurrent):
    """`tf_keras.layers.LSTM`; options as its arguments (None: its default). Or two, `initial_state=[h, c]` of the second's."""


@implementation("tf_keras.layers.LSTMCell", ["tensorflow"], "lstm", needs=NEEDS)
@implementation("tf_keras.layers.LSTMCell", ["tensorflow"], "encoder_decoder", needs=NEEDS)
class LstmCell(LstmRecurrent):
    """`tf_keras.layers.RNN(tf_keras.layers.LSTMCell(...))`, the general loop."""

    cell = True


@implementation("tf_keras.layers.GRU", ["tensorflow"], "gru", needs=NEEDS)
class Gru(Recurrent):
    """`tf_keras.layers.GRU`; options as its arguments."""


@implementation("tf_keras.layers.SimpleRNN", ["tensorflow"], "simple_rnn", needs=NEEDS)
class SimpleRnn(Recurrent):
    """`tf_keras.layers.SimpleRNN`."""

    choices = {"implementation": (None,)}
