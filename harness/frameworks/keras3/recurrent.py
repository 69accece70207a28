"""`keras.layers.LSTM`, `RNN(LSTMCell)`, `GRU` and `SimpleRNN`, on every Keras backend.

https://keras.io/api/layers/recurrent_layers/ . What a layer draws, in evaluation mode too: with `dropout` alone one input mask
(B, D) for all gates and steps; with `recurrent_dropout` (which forces implementation 1) or implementation 1 an input mask for
each gate, and then as many masks (B, H) on the h that enters a step, all of them the same at every step.

On JAX and torch Keras 3 computes some operators of a float64 layer in float32: its rules of type promotion know no
64-bit result there (`keras.ops.tanh` on JAX, `keras.ops.matmul` on torch). That is what is run here, too.

Import policy: Keras is imported inside functions only.
"""

from typing import Any, Dict, List, Optional

import numpy as np

from harness.frameworks.contract.adapter import Job, Unsupported
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.keras3.load import load
from harness.frameworks.keras3.run import KerasAdapter, keras_implementation, precision
from harness.frameworks.tensorflow.base import Network
from harness.frameworks.tensorflow.stack import (
    Drawn,
    KerasRecurrent,
    LstmFacts,
    keras_native,
    prepared,
    rates,
)
from harness.noises import Site

COUNTS = {1: "one mask", 3: "three masks", 4: "four masks"}


class Recurrent(KerasRecurrent, KerasAdapter):
    """How Keras 3 draws and builds."""

    options = dict(KerasAdapter.options, implementation=None, unroll=False)
    choices: Dict[str, Any] = {"implementation": (None, 1, 2)}
    activations = {None: "sigmoid", "hard_sigmoid": "hard_sigmoid"}
    seeded = ("recurrent", "dropout")

    def check(self, job: Job) -> None:
        super().check(job)
        forced = job.train and self.option(job, "implementation") == 1 and not self.cell
        for stack in job.stacks if forced and job.options.get("use_cudnn") is not False else ():
            below, state = rates(job, stack)
            if below > 0.0 and state == 0.0:
                on = ", on unless use_cudnn is false," if "use_cudnn" in self.options else ""
                raise Unsupported(
                    f"Keras 3 raises here: with implementation 1 its fast path{on} "
                    f"takes the list of {COUNTS[stack.gates]} for one"
                )

    def dropped(self, job: Job, at: str) -> Optional[Site]:
        # Cells make masks in evaluation too, and use them in training alone.
        site = job.site(at)
        return site if site is not None and site.active else None

    def drawn(self, job: Job, stack: Geometry) -> Drawn:
        each = rates(job, stack)[1] > 0.0 or self.option(job, "implementation") == 1
        return Drawn((("input", stack.gates if each else 1), ("state.h", stack.gates)))

    def arguments(self, job: Job, stack: Geometry, layer: int) -> Dict[str, Any]:
        found = super().arguments(job, stack, layer)
        cudnn = job.options.get("use_cudnn")
        return found if cudnn is None else dict(found, use_cudnn=cudnn)

    def pile(self, keras: Any, arrays: List[Any]) -> Any:
        return keras.ops.stack(arrays)

    def network(self, keras: Any, job: Job) -> Network:
        return self.keras_network(keras, job)

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        keras = load(job.backend)
        with precision(job):
            layers = self.prepared(keras, prepared(job)).layers
            inputs = {name: keras.ops.convert_to_tensor(array) for name, array in job.inputs.items()}
            return keras_native(job, layers, inputs, lambda value: np.array(keras.ops.convert_to_numpy(value)))


class LstmRecurrent(LstmFacts, Recurrent):
    """An LSTM."""

    values = {**LstmFacts.values, "recurrent_activation": ("hard_sigmoid",)}


@keras_implementation("keras.layers.LSTM", "lstm")
@keras_implementation("keras.layers.LSTM", "encoder_decoder")
class Lstm(LstmRecurrent):
    """`keras.layers.LSTM`; options as its arguments (None: Keras's default). Or two, `initial_state=[h, c]` of the second's."""

    options = dict(Recurrent.options, use_cudnn=None)


@keras_implementation("keras.layers.LSTMCell", "lstm")
@keras_implementation("keras.layers.LSTMCell", "encoder_decoder")
class LstmCell(LstmRecurrent):
    """`keras.layers.RNN(keras.layers.LSTMCell(...))`, the general loop, which has no fast path and so no `use_cudnn`."""

    cell = True


@keras_implementation("keras.layers.GRU", "gru")
class Gru(Recurrent):
    """`keras.layers.GRU`; options as its arguments."""


@keras_implementation("keras.layers.SimpleRNN", "simple_rnn")
class SimpleRnn(Recurrent):
    """`keras.layers.SimpleRNN`."""

    choices = {"implementation": (None,)}
