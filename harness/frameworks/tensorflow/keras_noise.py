"""Keras' layers of dropout and noise, of Keras 2 and 3 alike: one draw at the site `input`.

https://keras.io/api/layers/regularization_layers/ .

Import policy: no framework is imported here; a Keras comes in as an argument.
"""

from typing import Any, Dict, Tuple, Type

from harness.frameworks.contract.adapter import Job
from harness.frameworks.contract.capabilities import EVERY, INNER, OWN, Shared
from harness.frameworks.tensorflow.base import Network, check_training, with_training
from harness.frameworks.tensorflow.dropout import OneSite


class KerasNoise(OneSite):
    """One layer. Option `training`: the flag as Python's bool, or as a `tensor` that a `tf.function` is given."""

    name = ""
    #: which of a site's numbers is the layer's own.
    amount = "rate"
    #: whether it takes a `noise_shape`, and a seed.
    shaped = False
    seeded = True

    def check(self, job: Job) -> None:
        super().check(job)
        check_training(self.option(job, "training"), bool(self.option(job, "tf_function")))

    def seed(self, job: Job) -> Any:
        """The layer's seed."""
        return job.seed

    def built(self, keras: Any, job: Job) -> Network:
        """The layer, and how it is called."""
        site = self.site_of(job)
        arguments: Dict[str, Any] = {"seed": self.seed(job)} if self.seeded else {}
        if self.shaped:
            arguments["noise_shape"] = tuple(site.shape) if site.shared else None
        layer = getattr(keras.layers, self.name)(getattr(site, self.amount), dtype=job.dtype, **arguments)
        as_tensor = self.option(job, "training") == "tensor"
        return with_training(lambda x, training: layer(x, training=training), layer, job, as_tensor)


def _spatial(rank: int) -> Tuple[str, Dict[str, Any]]:
    return "dropout", {"ranks": (rank,), "shared": {EVERY: (Shared(INNER),)}}


def _gaussian(name: str, noise: str, **more: str) -> Dict[str, Any]:
    return dict(more, noises=(noise,), shared={EVERY: (OWN,)}, because={"shared": name + " has no noise_shape"})


#: By the layer's name: its kind here, and what it declares. SpatialDropout drops whole feature maps (`channels_last`);
#: AlphaDropout's affine correction divides by zero at rate 1; GaussianDropout multiplies by N(1, rate / (1 - rate)), and
#: GaussianNoise adds N(0, stddev**2), drawn for every element.
LAYERS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "Dropout": ("dropout", {"shaped": True}),
    "SpatialDropout1D": _spatial(3),
    "SpatialDropout2D": _spatial(4),
    "SpatialDropout3D": _spatial(5),
    "AlphaDropout": ("alpha_dropout", {"noises": ("alpha",), "shaped": True}),
    "GaussianDropout": ("gaussian_dropout", _gaussian("GaussianDropout", "gaussian")),
    "GaussianNoise": ("gaussian_noise", _gaussian("GaussianNoise", "additive", amount="stddev")),
}


def layer_class(base: Type[KerasNoise], name: str) -> Any:
    """The class of one of LAYERS, from what a Keras says of all of them."""
    body = {"name": name, "__module__": base.__module__, "__qualname__": name, "__doc__": "`layers.%s`." % name}
    return type(name, (base,), dict(LAYERS[name][1], **body))
