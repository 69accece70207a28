"""`tf_keras.layers.Dropout` and its neighbours: Keras 2, kept alive as a package of its own.

https://www.tensorflow.org/api_docs/python/tf/keras/layers/Dropout (TensorFlow 2.15 and before). They draw through
`tf.nn.dropout`, `tf.random.uniform` and `tf.random.normal`, statefully. Seeds: `tf.random.set_seed(job.seed)` and, unless
option `layer_seed` is false, `seed=job.seed` for the layer.

Import policy: TensorFlow and tf_keras are imported inside functions only.
"""

import sys
from typing import Any, Dict

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.tensorflow_arrays import load
from harness.adapters.tensorflow_base import Network, check_training, refuse_rate_one, with_training
from harness.adapters.tensorflow_dropout import SITE, Noise
from harness.tape import NORMAL

NEEDS = ["tensorflow", "tf_keras"]


class Layer(Noise):
    """One layer. Option `training`: the flag as Python's bool, or as a `tensor` (inside a `tf.function` only)."""

    options: Dict[str, Any] = dict(Noise.options, layer_seed=True, training="python")
    modules = ("tf_keras",)

    def check(self, job: Job) -> None:
        super(Layer, self).check(job)
        check_training(self.option(job, "training"), bool(self.option(job, "tf_function")))

    def layer(self, layers: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        """The layer itself; `layers` is tf_keras.layers."""
        raise NotImplementedError

    def network(self, tf: Any, job: Job) -> Network:
        arguments = {"dtype": job.dtype, "seed": job.seed if self.option(job, "layer_seed") else None}
        layer = self.layer(sys.modules["tf_keras"].layers, job, arguments)
        as_tensor = self.option(job, "training") == "tensor"
        return with_training(lambda x, training: layer(x, training=training), layer, job, as_tensor)


def shared_with(job: Job, what: str, noise_shape: bool) -> None:
    """Raise Unsupported where a layer without a noise shape should share its draw."""
    for site in job.sites:
        if site.shared and not noise_shape:
            raise Unsupported("%s has no noise_shape: it cannot share over %s" % (what, ", ".join(site.shared)))


@implementation("tf_keras.layers.Dropout", ["tensorflow"], "dropout", needs=NEEDS)
class Dropout(Layer):
    """`tf_keras.layers.Dropout(rate, noise_shape)`; in training tf.nn.dropout refuses rate 1."""

    def check(self, job: Job) -> None:
        super(Dropout, self).check(job)
        refuse_rate_one(job, load(*self.modules))

    def layer(self, layers: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        site = self.site_of(job)
        return layers.Dropout(site.rate, noise_shape=tuple(site.shape) if site.shared else None, **arguments)


class SpatialDropout(Dropout):
    """Shared over every axis between the batch and the features."""

    rank = 0
    name = ""

    def check(self, job: Job) -> None:
        super(SpatialDropout, self).check(job)
        site = self.site_of(job)
        if len(site.shape) != self.rank:
            raise Unsupported("%s wants an input of rank %d, not %d" % (self.name, self.rank, len(site.shape)))
        if site.shared != site.axes[1:-1]:
            raise Unsupported("%s always shares over %s" % (self.name, ", ".join(site.axes[1:-1])))

    def layer(self, layers: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        # Keras 2's spatial layers take no seed.
        arguments.pop("seed")
        return getattr(layers, self.name)(self.site_of(job).rate, **arguments)


def _spatial(rank: int) -> None:
    name = "SpatialDropout%dD" % (rank - 2)
    cls = type(name, (SpatialDropout,), {"rank": rank, "name": name, "__module__": __name__, "__qualname__": name})
    implementation("tf_keras.layers." + name, ["tensorflow"], "dropout", needs=NEEDS)(cls)


for _rank in (3, 4, 5):
    _spatial(_rank)


@implementation("tf_keras.layers.AlphaDropout", ["tensorflow"], "alpha_dropout", needs=NEEDS)
class AlphaDropout(Layer):
    """`tf_keras.layers.AlphaDropout(rate, noise_shape)`."""

    noises = ("alpha",)

    def layer(self, layers: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        site = self.site_of(job)
        return layers.AlphaDropout(site.rate, noise_shape=tuple(site.shape) if site.shared else None, **arguments)


@implementation("tf_keras.layers.GaussianDropout", ["tensorflow"], "gaussian_dropout", needs=NEEDS)
class GaussianDropout(Layer):
    """Multiplies by N(1, rate / (1 - rate))."""

    noises = ("gaussian",)
    kinds = ((SITE, NORMAL),)

    def check(self, job: Job) -> None:
        super(GaussianDropout, self).check(job)
        shared_with(job, "GaussianDropout", False)

    def layer(self, layers: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        return layers.GaussianDropout(self.site_of(job).rate, **arguments)


@implementation("tf_keras.layers.GaussianNoise", ["tensorflow"], "gaussian_noise", needs=NEEDS)
class GaussianNoise(Layer):
    """Adds N(0, stddev**2); it draws at stddev 0 too."""

    noises = ("additive",)
    kinds = ((SITE, NORMAL),)

    def active(self, job: Job) -> bool:
        return job.train

    def check(self, job: Job) -> None:
        super(GaussianNoise, self).check(job)
        shared_with(job, "GaussianNoise", False)

    def layer(self, layers: Any, job: Job, arguments: Dict[str, Any]) -> Any:
        return layers.GaussianNoise(self.site_of(job).stddev, **arguments)
