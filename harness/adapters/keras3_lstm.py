"""`keras.layers.LSTM` and `keras.layers.RNN(LSTMCell)`, as `lstm` and `encoder_decoder`, on every Keras backend.

https://keras.io/api/layers/recurrent_layers/lstm/ . What a layer draws, in evaluation mode too: with `dropout` alone one
input mask (B, D) for all gates and steps; with `recurrent_dropout` (which forces implementation 1) four input masks and
then four masks (B, H) on the h that enters a step, all of them the same at every step.

On JAX and torch Keras 3 computes some operators of a float64 layer in float32: its rules of type promotion know no
64-bit result there (`keras.ops.tanh` on JAX, `keras.ops.matmul` on torch). That is what is run here, too.

Import policy: Keras is imported inside functions only.
"""

from typing import Any, Dict, List

import numpy as np

from harness.adapters.base import Job, SiteSpec, Unsupported
from harness.adapters.keras3_load import load
from harness.adapters.keras3_run import KerasAdapter, assign, keras_implementation, precision
from harness.adapters.keras3_stack import GATES, OUTER, EncoderDecoder, Half, StackedLstm, held_by, keras_native
from harness.adapters.tensorflow_base import Network
from harness.tape import BERNOULLI, Slot


class _Layers(StackedLstm, KerasAdapter):
    """How Keras 3 draws and builds; `cell`: the general loop around LSTMCell instead of the LSTM layer."""

    options = dict(KerasAdapter.options, implementation=None, unroll=False, use_cudnn=None)
    activations = {None: "sigmoid", "hard_sigmoid": "hard_sigmoid"}
    cell = False

    def check(self, job: Job) -> None:
        super(_Layers, self).check(job)
        if self.option(job, "implementation") not in (None, 1, 2):
            raise Unsupported("Keras 3 has implementation 1 and 2, not %r" % (self.option(job, "implementation"),))
        if not self.cell and job.train and self.option(job, "use_cudnn") is not False:
            for half in self.halves(job):
                below, state = half.rates(0)
                if self.option(job, "implementation") == 1 and below > 0.0 and state == 0.0:
                    raise Unsupported(
                        "Keras 3 raises here: with implementation 1 its fast path, on unless use_cudnn is false, "
                        "takes the list of four masks for one"
                    )

    def network(self, keras: Any, job: Job) -> Network:
        return self.keras_network(keras, job)

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        keras = load(job.backend)

        def to_numpy(value: Any) -> np.ndarray:
            return np.array(keras.ops.convert_to_numpy(value))

        with precision(job):
            if job.layer != "lstm":
                return held_by(self.prepared(keras, job).layers, to_numpy)
            stack = self.stack(keras, self.halves(job)[0])
            stack.name("")
            assign(Network(stack.variables, stack.layers, dict), job)
            inputs = {name: keras.ops.convert_to_tensor(array) for name, array in job.inputs.items()}
            return keras_native(stack, inputs, to_numpy)

    def layer_slots(self, half: Half, index: int, direction: int) -> List[Slot]:
        below, state = half.rates(index)
        each = state > 0.0 or self.option(half.job, "implementation") == 1
        found: List[Slot] = []
        if 0.0 < below < 1.0:
            count = GATES if each else 1
            way, at = half.way(direction)
            shape = (half.batch, half.features)
            canonical = (*way, count, half.batch, 1, half.features)
            found += [Slot(half.prefix + "input", BERNOULLI, shape, canonical, (*at, gate)) for gate in range(count)]
        if 0.0 < state < 1.0:
            lead, place = half.place(index, direction)
            shape = (half.batch, half.units)
            canonical = (*lead, GATES, half.batch, 1, half.units)
            found += [
                Slot(half.prefix + "state.h", BERNOULLI, shape, canonical, (*place, gate)) for gate in range(GATES)
            ]
        return found

    def lstm_layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        arguments["seed"] = job.seed
        arguments.update(self.gates_activation(job))
        if self.option(job, "implementation") is not None:
            arguments["implementation"] = self.option(job, "implementation")
        unroll = bool(self.option(job, "unroll"))
        if self.cell:
            outer = {name: arguments.pop(name) for name in OUTER}
            cell = keras.layers.LSTMCell(**arguments)
            return self.both_ways(keras, job, keras.layers.RNN(cell, unroll=unroll, dtype=job.dtype, **outer))
        if self.option(job, "use_cudnn") is not None:
            arguments["use_cudnn"] = self.option(job, "use_cudnn")
        return self.both_ways(keras, job, keras.layers.LSTM(unroll=unroll, **arguments))

    def dropout_layer(self, keras: Any, job: Job, site: SiteSpec, shape: Any) -> Any:
        return keras.layers.Dropout(site.rate, noise_shape=shape, seed=job.seed, dtype=job.dtype)

    def stack_states(self, keras: Any, states: List[Any]) -> Any:
        return keras.ops.stack(states)


class _Cells(_Layers):
    """The cell in the general loop, which has no fast path and so no `use_cudnn`."""

    options = dict(KerasAdapter.options, implementation=None, unroll=False)
    cell = True


@keras_implementation("keras.layers.LSTM", "lstm")
class Lstm(_Layers):
    """`keras.layers.LSTM`; options as its arguments (None: Keras's default)."""


@keras_implementation("keras.layers.LSTMCell", "lstm")
class LstmCell(_Cells):
    """`keras.layers.RNN(keras.layers.LSTMCell(...))`."""


@keras_implementation("keras.layers.LSTM", "encoder_decoder")
class LstmEncoderDecoder(EncoderDecoder, _Layers):
    """Two `keras.layers.LSTM`, the second with `initial_state=[h, c]` of the first."""


@keras_implementation("keras.layers.LSTMCell", "encoder_decoder")
class LstmCellEncoderDecoder(EncoderDecoder, _Cells):
    """The same with `keras.layers.RNN(keras.layers.LSTMCell(...))`."""
