"""`keras.layers.Dropout`, SpatialDropout1D to 3D, GaussianDropout, GaussianNoise and AlphaDropout, on every Keras backend.

A layer outside of training, at rate 0 or (Dropout) at rate 1 draws nothing. Dropout and SpatialDropout decide from the stateless
uniform, bernoulli or `torch.bernoulli` of the backend, AlphaDropout from a float32 uniform whatever the layer's dtype.

Import policy: Keras is imported inside functions only.
"""

import re
from typing import Any

from harness.frameworks.contract.adapter import Job, Outcome, Unsupported
from harness.frameworks.keras3.run import KerasAdapter, keras_implementation
from harness.frameworks.tensorflow.base import Network
from harness.frameworks.tensorflow.keras_noise import LAYERS, KerasNoise, layer_class


class Noise(KerasNoise, KerasAdapter):
    """One layer of Keras 3."""

    options = dict(KerasAdapter.options, training="python")

    def call(self, job: Job, tap: Any) -> Outcome:
        if self.option(job, "training") != "tensor":
            return super().call(job, tap)
        import tensorflow as tf

        try:
            return super().call(job, tap)
        except tf.errors.OperatorNotAllowedInGraphError as error:
            words = re.search(r"Using a symbolic [^.]*\.[^.]*", str(error))
            raise Unsupported("Keras 3 branches on `training` in Python: %s" % (words.group() if words else error))

    def active(self, job: Job) -> bool:
        return (job.drawing if self.noises == ("bernoulli",) else job.acting)("input") is not None

    def network(self, keras: Any, job: Job) -> Network:
        return self.built(keras, job)


for _name, (_layer, _) in LAYERS.items():
    keras_implementation("keras.layers." + _name, _layer)(layer_class(Noise, _name))
