"""`tf_keras.layers.Dropout` and its neighbours: Keras 2, kept alive as a package of its own.

https://www.tensorflow.org/api_docs/python/tf/keras/layers/Dropout (TensorFlow 2.15 and before). They draw through
`tf.nn.dropout`, which refuses rate 1, `tf.random.uniform` and `tf.random.normal`, statefully; GaussianNoise at stddev 0 too.

Seeds: `tf.random.set_seed(job.seed)` and, unless option `layer_seed` is false, `seed=job.seed` for the layer; the spatial ones
take none.

Import policy: TensorFlow and tf_keras are imported inside functions only.
"""

import sys
from typing import Any, Dict, Sequence

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.tensorflow.arrays import load
from harness.frameworks.tensorflow.base import Network, TensorFlowAdapter, refuse_rate_one
from harness.frameworks.tensorflow.keras_noise import LAYERS, KerasNoise, layer_class

NEEDS = ["tensorflow", "tf_keras"]


class Noise(KerasNoise, TensorFlowAdapter):
    """One layer of Keras 2."""

    options: Dict[str, Any] = dict(TensorFlowAdapter.options, layer_seed=True, training="python")
    modules: Sequence[str] = ("tf_keras",)

    def check(self, job: Job) -> None:
        super().check(job)
        if self.noises == ("bernoulli",):
            refuse_rate_one(job, load(*self.modules))

    def active(self, job: Job) -> bool:
        return job.train if self.amount == "stddev" else super().active(job)

    def seed(self, job: Job) -> Any:
        return job.seed if self.option(job, "layer_seed") else None

    def network(self, tf: Any, job: Job) -> Network:
        return self.built(sys.modules["tf_keras"], job)


for _name, (_layer, _) in LAYERS.items():
    _made = layer_class(Noise, _name)
    _made.seeded = not _name.startswith("Spatial")
    implementation("tf_keras.layers." + _name, ["tensorflow"], _layer, needs=NEEDS)(_made)
