"""`keras.layers.Dropout`, SpatialDropout1D to 3D, GaussianDropout, GaussianNoise and AlphaDropout, on every Keras backend.

https://keras.io/api/layers/regularization_layers/ . A layer outside of training, at rate 0 or (Dropout) at rate 1 draws
nothing. Dropout and SpatialDropout decide from the stateless uniform, bernoulli or `torch.bernoulli` of the backend,
AlphaDropout from a float32 uniform whatever the layer's dtype.

Import policy: Keras is imported inside functions only.
"""

import re
from typing import Any, Dict, List

from harness.adapters.base import Job, Outcome, SiteSpec, Unsupported
from harness.adapters.keras3_run import KerasAdapter, keras_implementation
from harness.adapters.tensorflow_base import Network, check_training, with_training
from harness.tape import BERNOULLI, NORMAL, Slot


class Noise(KerasAdapter):
    """One layer with one draw at the site `input`.

    Option `training` (TensorFlow): the flag as Python's bool, or as a `tensor` that a `tf.function` is given.
    """

    options = dict(KerasAdapter.options, training="python")
    sites = ("input",)
    kind = BERNOULLI

    def check(self, job: Job) -> None:
        super(Noise, self).check(job)
        check_training(self.option(job, "training"), bool(self.option(job, "tf_function")))

    def call(self, job: Job) -> Outcome:
        if self.option(job, "training") != "tensor":
            return super(Noise, self).call(job)
        import tensorflow as tf

        try:
            return super(Noise, self).call(job)
        except tf.errors.OperatorNotAllowedInGraphError as error:
            words = re.search(r"Using a symbolic [^.]*\.[^.]*", str(error))
            raise Unsupported("Keras 3 branches on `training` in Python: %s" % (words.group() if words else error))

    def site_of(self, job: Job) -> SiteSpec:
        """The one site."""
        site = job.site("input")
        assert site is not None
        return site

    def draws(self, job: Job) -> bool:
        """Whether a call of this job draws."""
        return job.train and self.site_of(job).rate > 0.0

    def slots(self, job: Job) -> List[Slot]:
        if not self.draws(job):
            return []
        shape = tuple(self.site_of(job).shape)
        return [Slot("input", self.kind, shape, shape)]

    def layer(self, keras: Any, job: Job) -> Any:
        """The layer itself."""
        raise NotImplementedError

    def network(self, keras: Any, job: Job) -> Network:
        layer = self.layer(keras, job)
        as_tensor = self.option(job, "training") == "tensor"
        return with_training(lambda x, training: layer(x, training=training), layer, job, as_tensor)


def common(job: Job) -> Dict[str, Any]:
    """Arguments that every layer gets."""
    return {"seed": job.seed, "dtype": job.dtype}


def require_unshared(job: Job, what: str) -> None:
    """Raise Unsupported where the case shares one draw over some axis, for a layer that cannot."""
    for site in job.sites:
        if site.shared:
            raise Unsupported("%s has no noise_shape: it cannot share over %s" % (what, ", ".join(site.shared)))


@keras_implementation("keras.layers.Dropout", "dropout")
class Dropout(Noise):
    """`keras.layers.Dropout(rate, noise_shape)`."""

    def draws(self, job: Job) -> bool:
        return super(Dropout, self).draws(job) and self.site_of(job).rate < 1.0

    def layer(self, keras: Any, job: Job) -> Any:
        site = self.site_of(job)
        return keras.layers.Dropout(site.rate, noise_shape=tuple(site.shape) if site.shared else None, **common(job))


class SpatialDropout(Dropout):
    """Drops whole feature maps: shared over every axis between the batch and the features."""

    rank = 0
    name = ""

    def check(self, job: Job) -> None:
        super(SpatialDropout, self).check(job)
        site = self.site_of(job)
        if len(site.shape) != self.rank:
            raise Unsupported("%s wants an input of rank %d, not %d" % (self.name, self.rank, len(site.shape)))
        if site.shared != site.axes[1:-1]:
            raise Unsupported("%s always shares over %s" % (self.name, ", ".join(site.axes[1:-1])))

    def layer(self, keras: Any, job: Job) -> Any:
        return getattr(keras.layers, self.name)(self.site_of(job).rate, **common(job))


@keras_implementation("keras.layers.SpatialDropout1D", "dropout")
class SpatialDropout1D(SpatialDropout):
    """(B, T, C): one decision for each channel of each sequence."""

    rank, name = 3, "SpatialDropout1D"


@keras_implementation("keras.layers.SpatialDropout2D", "dropout")
class SpatialDropout2D(SpatialDropout):
    """(B, H, W, C): one decision for each channel of each image (`channels_last`)."""

    rank, name = 4, "SpatialDropout2D"


@keras_implementation("keras.layers.SpatialDropout3D", "dropout")
class SpatialDropout3D(SpatialDropout):
    """(B, D, H, W, C): one decision for each channel of each volume (`channels_last`)."""

    rank, name = 5, "SpatialDropout3D"


@keras_implementation("keras.layers.AlphaDropout", "alpha_dropout")
class AlphaDropout(Noise):
    """`keras.layers.AlphaDropout(rate, noise_shape)`; at rate 1 its affine correction divides by zero."""

    noises = ("alpha",)

    def layer(self, keras: Any, job: Job) -> Any:
        site = self.site_of(job)
        return keras.layers.AlphaDropout(
            site.rate, noise_shape=tuple(site.shape) if site.shared else None, **common(job)
        )


@keras_implementation("keras.layers.GaussianDropout", "gaussian_dropout")
class GaussianDropout(Noise):
    """Multiplies by N(1, rate / (1 - rate)), drawn for every element."""

    noises = ("gaussian",)
    kind = NORMAL

    def check(self, job: Job) -> None:
        super(GaussianDropout, self).check(job)
        require_unshared(job, "GaussianDropout")

    def layer(self, keras: Any, job: Job) -> Any:
        return keras.layers.GaussianDropout(self.site_of(job).rate, **common(job))


@keras_implementation("keras.layers.GaussianNoise", "gaussian_noise")
class GaussianNoise(Noise):
    """Adds N(0, stddev**2), drawn for every element."""

    noises = ("additive",)
    kind = NORMAL

    def check(self, job: Job) -> None:
        super(GaussianNoise, self).check(job)
        require_unshared(job, "GaussianNoise")

    def draws(self, job: Job) -> bool:
        return job.train and self.site_of(job).stddev > 0.0

    def layer(self, keras: Any, job: Job) -> Any:
        return keras.layers.GaussianNoise(self.site_of(job).stddev, **common(job))
