"""The Keras that comes with TensorFlow 1 and 2.0 to 2.15: `tf.contrib.keras.layers.LSTM` (1.3), `tf.keras.layers.LSTM`.

https://github.com/tensorflow/tensorflow/blob/v1.3.0/tensorflow/contrib/keras/python/keras/layers/recurrent.py . What they draw,
in training only:

- 1.3: four masks a kind. Implementation 0 (the default; it exists only here) transforms the whole input first and draws the
  state's masks before the input's; 1 and 2 draw the input's first. 0 and 1 use one mask for each gate, 2 the first mask of each
  kind. `recurrent_dropout` forces nothing.
- 1.8: the same without implementation 0; the default is 1.
- 2.0: as tf_keras, but the loop of a `tf.function` keeps its masks for all steps, and `recurrent_dropout` forces implementation 1
  only in the LSTM layer's own choice of path (harness.adapters.tf_keras_lstm).

Masks that no output depends on are not drawn in a graph. All of them hold for every step. The recurrent activation was the hard
sigmoid (slope 1/5) up to 1.x; it is set here to what the case says.

Seeds: NumPy's global generator is seeded, for these layers take their ops' seeds from it, and TensorFlow's.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

import numpy as np

from harness.adapters.base import PLAIN_SETTINGS, Adapter, Job, Outcome, Result, SiteSpec, Unsupported, implementation
from harness.adapters.keras3_stack import GATES, SITES, Half, StackedLstm, keras_native, with_lengths
from harness.adapters.tensorflow1_base import RULE, Tensors, run, version
from harness.adapters.tensorflow_arrays import load
from harness.adapters.tensorflow_tap import TensorFlowTap
from harness.adapters.tf_keras_lstm import Lstm as TfKerasLstm
from harness.tape import BERNOULLI, Draw, Slot

ACTIVATIONS = {None: "sigmoid", "hard_sigmoid_keras2": "hard_sigmoid"}
SETTINGS = (*PLAIN_SETTINGS, "recurrent_activation", "bidirectional", "go_backwards", "padding")


def recurrent_activation(job: Job) -> str:
    """Keras 2's name of the gates' activation. Raises Unsupported for another than it has."""
    name = job.config.get("recurrent_activation")
    if name not in ACTIVATIONS:
        raise Unsupported("Keras 2 has the sigmoid and the hard sigmoid of slope 1/5, not %s" % name)
    return ACTIVATIONS[name]


class Graph(StackedLstm):
    """Keras of TensorFlow 1, in a graph."""

    options = {"implementation": None, "unroll": False}
    settings = SETTINGS
    activations = ACTIVATIONS
    recalls = True

    def __init__(self) -> None:
        self._tap: Optional[TensorFlowTap] = None

    def found(self) -> Tuple[int, int]:
        """TensorFlow's version."""
        return version(load())

    def implementation(self, job: Job) -> int:
        """The layer's implementation; None is the version's default."""
        chosen = self.option(job, "implementation")
        if chosen is None:
            return 0 if self.found() < (1, 4) else 1
        return int(chosen)

    def check(self, job: Job) -> None:
        super(Graph, self).check(job)
        recurrent_activation(job)
        known = (0, 1, 2) if self.found() < (1, 4) else (1, 2)
        if self.implementation(job) not in known:
            raise Unsupported("Keras of TensorFlow %d.%d has implementation " % self.found() + "%s" % (known,))
        if job.config.get("bidirectional") and self.found() < (1, 4):
            raise Unsupported("Bidirectional of TensorFlow 1.3 neither takes nor gives states")
        for site in job.sites:
            if site.scale == "none":
                raise Unsupported("Keras scales survivors by 1 / (1 - rate)")

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        self._tap = TensorFlowTap(replay, rule=RULE)
        return self._tap

    def layer_slots(self, half: Half, index: int, direction: int) -> List[Slot]:
        if not half.job.train:
            return []
        below, state = half.rates(index)
        chosen = self.implementation(half.job)
        count = 1 if chosen == 2 else GATES
        found: List[Slot] = []
        if 0.0 < below < 1.0:
            lead, place = half.way(direction)
            shape = (half.batch, half.features)
            canonical = (*lead, count, half.batch, 1, half.features)
            at = half.prefix + "input"
            found += [Slot(at, BERNOULLI, shape, canonical, (*place, gate)) for gate in range(count)]
        recurrent: List[Slot] = []
        if 0.0 < state < 1.0:
            lead, place = half.place(index, direction)
            shape = (half.batch, half.units)
            canonical = (*lead, count, half.batch, 1, half.units)
            at = half.prefix + "state.h"
            recurrent = [Slot(at, BERNOULLI, shape, canonical, (*place, gate)) for gate in range(count)]
        return recurrent + found if chosen == 0 else found + recurrent

    def lstm_layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        arguments["recurrent_activation"] = recurrent_activation(job)
        if self.option(job, "implementation") is not None:
            arguments["implementation"] = self.option(job, "implementation")
        return self.both_ways(keras, job, keras.layers.LSTM(unroll=bool(self.option(job, "unroll")), **arguments))

    def both_ways(self, keras: Any, job: Job, layer: Any) -> Any:
        return keras.layers.Bidirectional(layer) if job.config.get("bidirectional") else layer

    def mask_tensor(self, keras: Any, mask: np.ndarray) -> Any:
        return load().constant(mask)

    def stack(self, keras: Any, half: Half) -> Any:
        built = super(Graph, self).stack(keras, half)
        if self.found() < (1, 4):
            # The layer is its own cell.
            built.cell_of = lambda layer: layer
        return built

    def dropout_layer(self, keras: Any, job: Job, site: SiteSpec, shape: Any) -> Any:
        return keras.layers.Dropout(site.rate, noise_shape=shape, seed=job.seed, dtype=job.dtype)

    def stack_states(self, keras: Any, states: List[Any]) -> Any:
        return load().stack(states)

    def call(self, job: Job) -> Outcome:
        tf = load()
        assert self._tap is not None
        job = with_lengths(job)
        keras = tf.contrib.keras if self.found() < (1, 4) else tf.keras

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            np.random.seed(job.seed % 2**32)
            keras.backend.set_learning_phase(int(job.train))
            network = self.keras_network(keras, job)
            weights.update(network.variables)
            return network.forward(inputs)

        return run(job, forward, self._tap, False)

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        if job.layer != "lstm" or job.config.get("layers", 1) != 1:
            return {}
        tf = load()
        keras = tf.contrib.keras if self.found() < (1, 4) else tf.keras

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            keras.backend.set_learning_phase(0)
            stack = self.stack(keras, self.halves(job)[0])
            stack.name("")
            weights.update(stack.variables)
            return keras_native(stack, inputs, lambda tensor: tensor)

        return run(job, forward, self.tap(None), False).outputs


class Second(TfKerasLstm):
    """`tf.keras` of TensorFlow 2.0 to 2.15, where it is Keras 2."""

    modules: Tuple[str, ...] = ()
    settings = SETTINGS

    def keras(self) -> Any:
        return load().keras

    def redraws(self, half: Half) -> bool:
        # From 2.1 on a mask is cached for the graph that it is drawn in; in 2.0 the first one stays.
        return version(load()) > (2, 0) and super(Second, self).redraws(half)

    def forced(self, state: float) -> bool:
        return version(load()) > (2, 0) and super(Second, self).forced(state)

    def lstm_layer(self, keras: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        arguments["recurrent_activation"] = recurrent_activation(job)
        return super(Second, self).lstm_layer(keras, job, arguments)

    def call(self, job: Job) -> Outcome:
        np.random.seed(job.seed % 2**32)
        return super(Second, self).call(job)


class OfVersion(Adapter):
    """An adapter that hands every job to the one for this version of TensorFlow."""

    options = {"implementation": None, "unroll": False, "tf_function": False}
    sites: Tuple[str, ...] = SITES
    settings: Tuple[str, ...] = SETTINGS
    name = ""

    first: Type[Adapter] = Graph
    second: Type[Adapter] = Second

    def __init__(self) -> None:
        self._first, self._second = self.first(), self.second()

    def chosen(self) -> Adapter:
        """The adapter for this version. Raises Unsupported where there is no such Keras."""
        tf = load()
        found = version(tf)
        if self.name.startswith("tf.contrib.keras") != (found < (1, 4)):
            raise Unsupported("TensorFlow %s has no %s" % (tf.__version__, self.name))
        if found >= (2, 16):
            names = self.name.replace("tf.keras", "keras"), self.name.replace("tf.keras", "tf_keras")
            raise Unsupported("tf.keras is Keras 3 here: name %s or %s" % names)
        return self._first if found < (2, 0) else self._second

    def run(self, job: Job) -> Result:
        """As Adapter.run."""
        return self.chosen().run(job)

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        return self.chosen().native(job)


@implementation("tf.contrib.keras.layers.LSTM", ["tensorflow"], "lstm", needs=["tensorflow<2"])
class ContribKeras(OfVersion):
    """Keras as it came with TensorFlow 1.3."""

    name = "tf.contrib.keras.layers.LSTM"


@implementation("tf.keras.layers.LSTM", ["tensorflow"], "lstm", needs=["tensorflow<2.16"])
class TfKeras(OfVersion):
    """Keras as it came with TensorFlow 1.4 to 2.15."""

    name = "tf.keras.layers.LSTM"
