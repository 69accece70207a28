"""`tf.nn.RNNCellDropoutWrapper` around Keras 2's LSTMCell in its RNN: what became of `DropoutWrapper` in TensorFlow 2.

https://www.tensorflow.org/api_docs/python/tf/nn/RNNCellDropoutWrapper (deprecated, and still there). Sites as of TensorFlow 1's
(harness.frameworks.tensorflow1.cells), in the order input, h, c, output. The state of a Keras cell is a list [h, c], not the
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

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, Outcome, Unsupported, implementation
from harness.frameworks.contract.geometry import Geometry, outputs_of
from harness.frameworks.contract.places import thrown_away
from harness.frameworks.tensorflow.arrays import load, tensors
from harness.frameworks.tensorflow.base import Network, TensorFlowAdapter, Tensors
from harness.frameworks.tensorflow.graphs import RULE, version
from harness.frameworks.tensorflow.stack import ACTIVATIONS_2, WEIGHTS
from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.frameworks.tensorflow.wrapper_options import Wrapped
from harness.tape import Slot


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
    values = {"layers": (1,), "recurrent_activation": ("hard_sigmoid_keras2",)}
    because = {
        "layers": "it wraps one cell, and is run here as one layer",
        "recurrent_activation": "Keras 2 has the sigmoid and the hard sigmoid of slope 1/5",
    }

    def check(self, job: Job) -> None:
        super().check(job)
        self.check_wrapper(job)
        if not self.both_states(job) and job.site("state.c") is not None:
            raise Unsupported("this dropout_state_filter_visitor spares c, and the case drops it")

    def check_version(self, tf: Any) -> None:
        super().check_version(tf)
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
        (stack,) = job.stacks
        in_graph = self.looped(job) and self.option(job, "tf_function") and bool(self.dropped(job, stack, 0))
        return (stack.time,) if in_graph else ()

    def stack_slots(self, job: Job, stack: Geometry) -> List[Slot]:
        found = super().stack_slots(job, stack)
        if not self.wrapped(job, stack) or not self.looped(job):
            return found
        return [thrown_away(self.slot(stack, name, 0, 0)) for name in self.dropped(job, stack, 0)] + found

    def wrapper(self, tf: Any, job: Job, stack: Geometry, layer: int) -> Dict[str, Any]:
        arguments = super().wrapper(tf, job, stack, layer)
        if self.option(job, "dropout_state_filter_visitor") == "h":
            arguments["dropout_state_filter_visitor"] = lambda state: [True, False] if isinstance(state, list) else True
        return arguments

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        tap.rule = RULE if self.option(job, "variational") else tap.rule
        return super().call(job, tap)

    def network(self, tf: Any, job: Job) -> Network:
        (stack,), keras = job.stacks, self.keras()
        cell = keras.layers.LSTMCell(
            stack.units,
            recurrent_activation=ACTIVATIONS_2[job.config.get("recurrent_activation")],
            # No initialiser may draw: weights are assigned, and a draw would stand on the tape.
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
            dtype=job.dtype,
        )
        outer = cell
        if self.wrapped(job, stack):
            # Variational masks are drawn here.
            tf.random.set_seed(job.seed)
            arguments = {"dtype": job.dtype, **self.wrapper(tf, job, stack, 0)}
            outer = tf.nn.RNNCellDropoutWrapper(cell, **arguments)
        unroll = bool(self.option(job, "unroll"))
        layer = keras.layers.RNN(outer, return_sequences=True, return_state=True, unroll=unroll, dtype=job.dtype)
        # The wrapper is a layer of the Keras within TensorFlow, which the Keras around it does not take for one of its own.
        outer.build((None, stack.features))
        variables = {name: getattr(cell, name) for name in WEIGHTS}
        for name, variable in variables.items():
            variable.assign(tf.constant(job.weights[name], dtype=job.dtype))

        def forward(inputs: Tensors) -> Tensors:
            y, *states = layer(inputs["x"], initial_state=self.start(tf, job, inputs))
            return outputs_of([stack], job.config, y, [states], lambda parts: parts)

        return Network(variables, [layer], forward)

    def start(self, tf: Any, job: Job, inputs: Tensors) -> Any:
        """The initial states [h, c], zeros where the job gives none."""
        (stack,) = job.stacks
        return [inputs.get(name + "0", tf.zeros(stack.state_shape(name), job.dtype)) for name in stack.states]

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
