"""`tf.nn.RNNCellDropoutWrapper` around Keras 2's LSTMCell in its RNN: what became of `DropoutWrapper` in TensorFlow 2.

https://www.tensorflow.org/api_docs/python/tf/nn/RNNCellDropoutWrapper (deprecated, and still there). Sites as of TensorFlow 1's
(harness.adapters.tensorflow1_cells), in the order input, h, c, output. The state of a Keras cell is a list [h, c], not the
LSTMStateTuple whose c the wrapper spares, so both are dropped, and the mask of c is recorded as a draw at `state.c` also where
the case has no such site. Options:

    variational                   `variational_recurrent`: one mask (1, n), drawn when the wrapper is made, for every later call.
    dropout_state_filter_visitor  None, its default; or `h`, one that spares c.
    unroll, tf_function           as of the RNN around it. Unless it is unrolled it draws one set more, for the shape of a step.

Keras 2 is `tf.keras` up to TensorFlow 2.15 and tf_keras from there on; the RNN of Keras 3 does not take such a cell.

Seeds: `tf.random.set_seed(job.seed)`, and `seed=job.seed` of the wrapper, which derives an op seed of it for each thing it drops.

Import policy: TensorFlow is imported inside functions only.
"""

import sys
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.adapters._dropout_wrapper import Wrapped, thrown_away
from harness.adapters.base import PLAIN_SETTINGS, Job, Unsupported, implementation
from harness.adapters.tensorflow1_base import RULE, version
from harness.adapters.tensorflow_arrays import load, tensors
from harness.adapters.tensorflow_base import Network, TensorFlowAdapter, Tensors
from harness.tape import Slot

ACTIVATIONS = {None: "sigmoid", "hard_sigmoid_keras2": "hard_sigmoid"}
WEIGHTS = ("kernel", "recurrent_kernel", "bias")


@implementation("tf.nn.RNNCellDropoutWrapper", ["tensorflow"], "lstm", needs=["tensorflow>=2"])
class CellWrapper(Wrapped, TensorFlowAdapter):
    """One layer."""

    options = dict(TensorFlowAdapter.options, variational=False, dropout_state_filter_visitor=None, unroll=False)
    about_options = {
        "dropout_state_filter_visitor": "of DropoutWrapper; `h` spares c, null (its default) drops both states"
    }
    sites = ("input", "state.h", "state.c", "output")
    states = ("state.h", "state.c")
    settings = (*PLAIN_SETTINGS, "recurrent_activation", "drop_leaving_state")

    def check(self, job: Job) -> None:
        super(CellWrapper, self).check(job)
        self.check_wrapper(job)
        if job.config.get("layers", 1) != 1:
            raise Unsupported("wraps one cell, and is run here as one layer")
        if job.config.get("recurrent_activation") not in ACTIVATIONS:
            raise Unsupported("Keras 2 has the sigmoid and the hard sigmoid of slope 1/5")
        if not self.both_states(job) and job.site("state.c") is not None:
            raise Unsupported("this dropout_state_filter_visitor spares c, and the case drops it")

    def check_version(self, tf: Any) -> None:
        super(CellWrapper, self).check_version(tf)
        try:
            self.keras()
        except ImportError:
            raise Unsupported("wraps a cell of Keras 2, which is the package tf_keras here")

    def keras(self) -> Any:
        """Keras 2. Raises ImportError where it is not there."""
        tf = load()
        if version(tf) < (2, 16):
            return tf.keras
        load("tf_keras")
        return sys.modules["tf_keras"]

    def both_states(self, job: Job) -> bool:
        return self.option(job, "dropout_state_filter_visitor") is None

    def drawn_early(self, job: Job) -> bool:
        return True

    def looped(self, job: Job) -> bool:
        """Whether every step draws in a loop that is prepared with one step more."""
        return not self.option(job, "unroll") and not self.option(job, "variational")

    def trips(self, job: Job) -> Sequence[int]:
        in_graph = self.looped(job) and self.option(job, "tf_function") and bool(self.dropped(job, 0))
        return (self.sizes(job).time,) if in_graph else ()

    def slots(self, job: Job) -> List[Slot]:
        found = super(CellWrapper, self).slots(job)
        if not self.wrapped(job) or not self.looped(job):
            return found
        first = [thrown_away(self.slot(job, at, 0, 0)) for at in self.dropped(job, 0)]
        return first + found

    def wrapper(self, tf: Any, job: Job, layer: int) -> Dict[str, Any]:
        arguments = super(CellWrapper, self).wrapper(tf, job, layer)
        if self.option(job, "dropout_state_filter_visitor") == "h":
            arguments["dropout_state_filter_visitor"] = lambda state: [True, False] if isinstance(state, list) else True
        return arguments

    def network(self, tf: Any, job: Job) -> Network:
        if self._tap is not None and self.option(job, "variational"):
            self._tap.rule = RULE
        keras = self.keras()
        cell = keras.layers.LSTMCell(
            self.sizes(job).units,
            recurrent_activation=ACTIVATIONS[job.config.get("recurrent_activation")],
            # No initialiser may draw: weights are assigned, and a draw would stand on the tape.
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
            dtype=job.dtype,
        )
        outer = cell
        if self.wrapped(job):
            # Variational masks are drawn here.
            tf.random.set_seed(job.seed)
            outer = tf.nn.RNNCellDropoutWrapper(cell, **self.wrapper(tf, job, 0))
        unroll = bool(self.option(job, "unroll"))
        layer = keras.layers.RNN(outer, return_sequences=True, return_state=True, unroll=unroll, dtype=job.dtype)
        # The wrapper is a layer of the Keras within TensorFlow, which the Keras around it does not take for one of its own.
        outer.build((None, self.sizes(job).features))
        variables = {name: getattr(cell, name) for name in WEIGHTS}
        for name, variable in variables.items():
            variable.assign(tf.constant(job.weights[name], dtype=job.dtype))

        def forward(inputs: Tensors) -> Tensors:
            y, h, c = layer(inputs["x"], initial_state=self.start(tf, job, inputs))
            outputs = {"y": y if job.config.get("return_sequences") else y[:, -1]}
            if job.config.get("return_state"):
                outputs.update(h=h, c=c)
            return outputs

        return Network(variables, [layer], forward)

    def start(self, tf: Any, job: Job, inputs: Tensors) -> Any:
        """The initial states [h, c], zeros where the job gives none."""
        sizes = self.sizes(job)
        zeros = tf.zeros((sizes.batch, sizes.units), job.dtype)
        return [inputs.get("h0", zeros), inputs.get("c0", zeros)]

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """The cell's arrays, and the states behind the sequence that the RNN returns."""
        tf = load()
        network = self.network(tf, job)
        (layer,) = network.layers
        inputs = tensors(job.inputs)
        found = {name: np.array(variable.numpy()) for name, variable in network.variables.items()}
        states: Tuple[Any, ...] = layer(inputs["x"], initial_state=self.start(tf, job, inputs))[1:]
        found.update(("state%d" % index, np.array(state.numpy())) for index, state in enumerate(states))
        return found
