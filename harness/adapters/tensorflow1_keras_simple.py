"""GRU and SimpleRNN of the Keras that comes with TensorFlow 1 and 2.0 to 2.15: `tf.contrib.keras` (1.3), `tf.keras`.

https://github.com/tensorflow/tensorflow/blob/v1.3.0/tensorflow/contrib/keras/python/keras/layers/recurrent.py . As of the LSTM
(harness.adapters.tensorflow1_keras), with three masks a kind for a GRU and one for a SimpleRNN; in training only:

- 1.3: implementation 0 (its default) draws the state's masks before the input's, 1 and 2 after; a GRU of implementation 2 uses
  the first of each kind. Its GRU resets before the product and has one bias; `reset_after` came with 1.8.
- 1.8: GRU with implementations 1 (its default) and 2, SimpleRNN without.
- 2.0 on: as tf_keras (harness.adapters.keras3_simple); in 2.0 a `tf.function` keeps its masks for all steps, and
  `recurrent_dropout` does not force implementation 1.

In 1.8 and 2.0 a GRU of implementation 2 also masks the h that is blended into the new one.

Seeds: NumPy's global generator is seeded, for these layers take their ops' seeds from it, and TensorFlow's.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

import numpy as np

from harness.adapters.base import PLAIN_SETTINGS, Adapter, Job, Outcome, Unsupported, implementation
from harness.adapters.keras3_simple import Simple, TfKerasGru, TfKerasSimple, TfKerasSimpleRnn, joined, parted
from harness.adapters.keras3_stack import rate_of
from harness.adapters.tensorflow1_base import RULE, Tensors, run, version
from harness.adapters.tensorflow1_keras import OfVersion
from harness.adapters.tensorflow_arrays import load
from harness.adapters.tensorflow_tap import TensorFlowTap
from harness.tape import Draw, Slot

SETTINGS = (*PLAIN_SETTINGS, "reset_after")


class GraphSimple(Simple):
    """Keras of TensorFlow 1, in a graph."""

    options = {"implementation": None, "unroll": False}
    settings = SETTINGS
    recalls = True

    def __init__(self) -> None:
        self._tap: Optional[TensorFlowTap] = None

    def old(self) -> bool:
        """Whether this is TensorFlow 1.3's, where a layer is its own cell."""
        return version(load()) < (1, 4)

    def check(self, job: Job) -> None:
        super(GraphSimple, self).check(job)
        if self.old() and job.config.get("reset_after"):
            raise Unsupported("TensorFlow 1.3's GRU resets before the product: reset_after is false")
        for site in job.sites:
            if site.scale == "none":
                raise Unsupported("Keras scales survivors by 1 / (1 - rate)")

    def implementations(self) -> Tuple[Any, ...]:
        if self.old():
            return None, 0, 1, 2
        return super(GraphSimple, self).implementations()

    def cell_of(self, layer: Any) -> Any:
        return layer if self.old() else layer.cell

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load()
        self._tap = TensorFlowTap(replay, rule=RULE)
        return self._tap

    def slots(self, job: Job) -> List[Slot]:
        if not job.train:
            return []
        batch, _, features, units = self.sizes(job)
        chosen = self.option(job, "implementation")
        # What no output depends on is not drawn in a graph.
        used = 1 if chosen == 2 else self.gates
        kinds = [("input", (batch, features)), ("state.h", (batch, units))]
        if chosen == 0 or (chosen is None and self.old()):
            kinds.reverse()
        found: List[Slot] = []
        for at, mask in kinds:
            if 0.0 < rate_of(job, at) < 1.0:
                found += self.masks(at, used, mask, 1, 0)
        return found + self.output_slots(job)

    def arguments(self, job: Job) -> Dict[str, Any]:
        found = super(GraphSimple, self).arguments(job)
        if self.gates > 1:
            found["recurrent_activation"] = "sigmoid"
        if self.old():
            found.pop("reset_after", None)
        return found

    def call(self, job: Job) -> Outcome:
        return parted(job, self.session(joined(job)))

    def session(self, job: Job) -> Outcome:
        """Build the graph and run it."""
        tf = load()
        assert self._tap is not None
        keras = tf.contrib.keras if self.old() else tf.keras

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            np.random.seed(job.seed % 2**32)
            keras.backend.set_learning_phase(int(job.train))
            network = self.layers(keras, job, self.arguments(job), {"seed": job.seed})
            weights.update(network.variables)
            return network.forward(inputs)

        return run(job, forward, self._tap, False)


class GraphGru(GraphSimple):
    """GRU."""

    name, gates = "GRU", 3


class GraphSimpleRnn(GraphSimple):
    """SimpleRNN."""

    name = "SimpleRNN"


class SecondSimple(TfKerasSimple):
    """`tf.keras` of TensorFlow 2.0 to 2.15, where it is Keras 2."""

    modules: Sequence[str] = ()

    def keras(self) -> Any:
        return load().keras

    def redraws(self, job: Job) -> bool:
        # From 2.1 on a mask is cached for the graph that it is drawn in; in 2.0 the first one stays.
        return version(load()) > (2, 0) and super(SecondSimple, self).redraws(job)

    def forced(self, state: float) -> bool:
        return version(load()) > (2, 0) and super(SecondSimple, self).forced(state)

    def call(self, job: Job) -> Outcome:
        np.random.seed(job.seed % 2**32)
        return super(SecondSimple, self).call(job)


class SecondGru(SecondSimple, TfKerasGru):
    """GRU."""


class SecondSimpleRnn(SecondSimple, TfKerasSimpleRnn):
    """SimpleRNN."""


class SimpleOfVersion(OfVersion):
    """The adapter of this version, for one layer."""

    sites: Tuple[str, ...] = Simple.sites
    settings: Tuple[str, ...] = SETTINGS


def _register(layer: str, name: str, first: Type[Adapter], second: Type[Adapter]) -> None:
    """Register one layer under the names that it has in TensorFlow 1.3 and from 1.4 on."""
    for prefix, needs in (("tf.contrib.keras.layers.", "tensorflow<2"), ("tf.keras.layers.", "tensorflow<2.16")):
        body = {
            "name": prefix + name,
            "first": first,
            "second": second,
            "__module__": __name__,
            "__doc__": prefix + name,
        }
        cls = type(prefix.replace(".", "_") + name, (SimpleOfVersion,), body)
        implementation(prefix + name, ["tensorflow"], layer, needs=[needs])(cls)


_register("gru", "GRU", GraphGru, SecondGru)
_register("simple_rnn", "SimpleRNN", GraphSimpleRnn, SecondSimpleRnn)
