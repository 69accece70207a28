"""The Keras in TensorFlow 1 and 2.0 to 2.15, `tf.contrib.keras.layers` (1.3), `tf.keras.layers`: LSTM, GRU and SimpleRNN.

https://github.com/tensorflow/tensorflow/blob/v1.3.0/tensorflow/contrib/keras/python/keras/layers/recurrent.py . What they draw,
in training only:

- 1.3: a mask a gate of the input and of h. Implementation 0 (the default; it exists only here) transforms the whole input first
  and draws the state's masks before the input's; 1 and 2 draw the input's first. 0 and 1 use one mask for each gate, 2 the first
  mask of each kind. `recurrent_dropout` forces nothing. A GRU resets before the product; `reset_after` came with 1.8.
- 1.8: the same without implementation 0; the default is 1. SimpleRNN has no implementations any more.
- 2.0: as tf_keras, but the loop of a `tf.function` keeps its masks for all steps, and `recurrent_dropout` forces implementation 1
  only in the LSTM layer's own choice of path (harness.frameworks.keras2.recurrent).

Masks that no output depends on are not drawn in a graph. All of them hold for every step. At rate 1 TensorFlow 1's recurrent
layers drop nothing. The recurrent activation was the hard
sigmoid (slope 1/5) up to 1.x; it is set here to what the case says. In 1.8 and 2.0 a GRU of implementation 2 also masks the h
that is blended into the new one.

Seeds: NumPy's global generator is seeded, for these layers take their ops' seeds from it, and TensorFlow's.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type

import numpy as np

from harness.frameworks.contract.adapter import (
    PLAIN_SETTINGS,
    Adapter,
    Job,
    Outcome,
    Result,
    Unsupported,
    implementation,
)
from harness.frameworks.contract.capabilities import Capabilities
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.keras2.recurrent import Recurrent
from harness.frameworks.tensorflow.arrays import load
from harness.frameworks.tensorflow.base import Network, refuse_rate_one
from harness.frameworks.tensorflow.graphs import RULE, Tensors, check_draws, run, version
from harness.frameworks.tensorflow.stack import (
    ACTIVATIONS_2,
    LAYERS,
    LSTM_SITES,
    Drawn,
    KerasRecurrent,
    keras_native,
    parted,
    prepared,
)
from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.tape import Draw


class LstmFacts(Capabilities):
    """What this LSTM declares."""

    sites: Tuple[str, ...] = LSTM_SITES
    settings: Tuple[str, ...] = (*PLAIN_SETTINGS, "recurrent_activation", "bidirectional", "go_backwards", "padding")
    values: Dict[str, Tuple[Any, ...]] = {
        "padding": ("zeros", "repeat"),
        "recurrent_activation": ("hard_sigmoid_keras2",),
    }


class Graph(KerasRecurrent):
    """Keras of TensorFlow 1, in a graph."""

    options = {"implementation": None, "unroll": False}
    scales = ("inverted",)
    activations = ACTIVATIONS_2
    dtypes = ("float16", "float32", "float64")
    recalls = True
    seeded = ("dropout",)

    def old(self) -> bool:
        """Whether this is TensorFlow 1.3."""
        return version(load()) < (1, 4)

    def implementation(self, job: Job) -> int:
        """The layer's implementation; None is the version's default."""
        chosen = self.option(job, "implementation")
        return (0 if self.old() else 1) if chosen is None else int(chosen)

    def check(self, job: Job) -> None:
        super().check(job)
        name = LAYERS[job.layer]
        known = (0, 1, 2) if self.old() else (1, 2) if name != "SimpleRNN" else ()
        if self.option(job, "implementation") not in (None, *known):
            words = (name, *version(load()), self.option(job, "implementation"))
            raise Unsupported("%s of TensorFlow %d.%d has no implementation %r" % words)
        if job.config.get("bidirectional") and self.old():
            raise Unsupported("Bidirectional of TensorFlow 1.3 neither takes nor gives states")
        if job.config.get("reset_after") and self.old():
            raise Unsupported("TensorFlow 1.3's GRU resets before the product: reset_after is false")
        check_draws(job)
        # Those are Dropout layers.
        above = {stack.above(layer) for stack in job.stacks for layer in range(stack.layers)}
        refuse_rate_one(job._replace(sites=tuple(site for site in job.sites if site.at in above)), load())

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        return TensorFlowTap(replay, rule=RULE)

    def drawn(self, job: Job, stack: Geometry) -> Drawn:
        chosen = self.implementation(job)
        used = 1 if chosen == 2 else stack.gates
        masks = ("input", used), ("state.h", used)
        return Drawn(masks[::-1] if chosen == 0 else masks)

    def arguments(self, job: Job, stack: Geometry, layer: int) -> Dict[str, Any]:
        found = super().arguments(job, stack, layer)
        if self.old():
            found.pop("reset_after", None)
        return found

    def mask_tensor(self, keras: Any, mask: np.ndarray) -> Any:
        return load().constant(mask)

    def pile(self, keras: Any, arrays: List[Any]) -> Any:
        return load().stack(arrays)

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        return parted(job, self._session(prepared(job), tap, lambda network, inputs: network.forward(inputs)))

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        if job.stacks[0].layers > 1:
            return {}

        def held(network: Network, inputs: Tensors) -> Tensors:
            return keras_native(job, network.layers, inputs, lambda tensor: tensor)

        return self._session(prepared(job), self.tap(None), held).outputs

    def _session(self, job: Job, tap: TensorFlowTap, forward: Callable[[Network, Tensors], Tensors]) -> Outcome:
        tf = load()
        keras = tf.contrib.keras if self.old() else tf.keras

        def build(inputs: Tensors, weights: Tensors) -> Tensors:
            np.random.seed(job.seed % 2**32)
            keras.backend.set_learning_phase(int(job.train))
            # A layer's own dtype does not reach its weights.
            keras.backend.set_floatx(job.dtype)
            network = self.keras_network(keras, job)
            weights.update(network.variables)
            return forward(network, inputs)

        before = keras.backend.floatx()
        try:
            return run(job, build, tap, False)
        finally:
            keras.backend.set_floatx(before)


class Second(Recurrent):
    """`tf.keras` of TensorFlow 2.0 to 2.15, where it is Keras 2."""

    modules: Sequence[str] = ()

    def keras(self) -> Any:
        return load().keras

    def redraws(self, job: Job) -> bool:
        # From 2.1 on a mask is cached for the graph that it is drawn in; in 2.0 the first one stays.
        return version(load()) > (2, 0) and super().redraws(job)

    def forced(self, state: float) -> bool:
        return version(load()) > (2, 0) and super().forced(state)

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        np.random.seed(job.seed % 2**32)
        return super().call(job, tap)


class LstmGraph(LstmFacts, Graph):
    """LSTM of TensorFlow 1."""


class LstmSecond(LstmFacts, Second):
    """LSTM of TensorFlow 2."""


class OfVersion(Adapter):
    """An adapter that hands every job to the one for this version of TensorFlow."""

    options = {"implementation": None, "unroll": False, "tf_function": False}
    sites: Tuple[str, ...] = Graph.sites
    settings: Tuple[str, ...] = Graph.settings
    scales = ("inverted",)
    recalls = True
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


class LstmOfVersion(LstmFacts, OfVersion):
    """The LSTM of this version."""

    first = LstmGraph
    second = LstmSecond


#: Where Keras lies in TensorFlow 1.3, and from 1.4 on, with what it computes in.
HOMES = (
    ("tf.contrib.keras.layers.", "tensorflow<2", Graph.dtypes),
    ("tf.keras.layers.", "tensorflow<2.16", Adapter.dtypes),
)

for _layer, _base in (("lstm", LstmOfVersion), ("gru", OfVersion), ("simple_rnn", OfVersion)):
    for _home, _needs, _dtypes in HOMES:
        _name = _home + LAYERS[_layer]
        _body = {"name": _name, "dtypes": _dtypes, "__module__": __name__, "__doc__": "`%s`." % _name}
        implementation(_name, ["tensorflow"], _layer, needs=[_needs])(type(_name.replace(".", "_"), (_base,), _body))
