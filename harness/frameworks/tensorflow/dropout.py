"""TensorFlow's own dropout functions and the formulas that people write beside them.

`tf.nn.dropout` (https://www.tensorflow.org/api_docs/python/tf/nn/dropout) draws from the stateful generator,
`tf.nn.experimental.stateless_dropout` from `seed=[job.seed, 0]`. The recipes are those of a well-known answer on Gaussian
dropout: `tf.random.uniform` and `tf.random.normal` with a formula around them.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, List, Optional, Sequence

from harness.frameworks.contract.adapter import Adapter, Job, Outcome, Unsupported, implementation
from harness.frameworks.tensorflow.arrays import load
from harness.frameworks.tensorflow.base import Network, TensorFlowAdapter, Tensors, refuse_rate_one
from harness.frameworks.tensorflow.graphs import RULE, run, version
from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.noises import Site, whole_slots
from harness.tape import Draw, Slot

SITE = "input"


class OneSite(Adapter):
    """One site, `input`: draws of the site's shape, one of each kind that its noise takes."""

    sites = (SITE,)

    def site_of(self, job: Job) -> Site:
        """The one site."""
        site = job.site(SITE)
        assert site is not None
        return site

    def active(self, job: Job) -> bool:
        """Whether a call draws."""
        return job.acting(SITE) is not None

    def slots(self, job: Job) -> List[Slot]:
        return whole_slots(self.site_of(job)) if self.active(job) else []


class Noise(OneSite, TensorFlowAdapter):
    """A function or a formula."""

    def network(self, tf: Any, job: Job) -> Network:
        def forward(inputs: Tensors) -> Tensors:
            x = inputs["x"]
            return {"y": self.noisy(tf, job, x) if self.active(job) else tf.identity(x)}

        return Network({}, [], forward)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        """The function or the formula on one tensor."""
        raise NotImplementedError


class Function(Noise):
    """A dropout function, which has no training flag: in evaluation mode people do not call it."""

    def check(self, job: Job) -> None:
        super().check(job)
        refuse_rate_one(job, load())


@implementation("tf.nn.dropout", ["tensorflow"], "dropout", needs=["tensorflow"])
class Dropout(Function):
    """u >= rate, survivors times the rounded reciprocal of 1 - rate.

    TensorFlow 1: floor(keep_prob + u), survivors over keep_prob; in a graph, with `seed=job.seed` for the op.
    """

    versions = ()

    def check(self, job: Job) -> None:
        super().check(job)
        if version(load()) < (2, 0) and self.option(job, "tf_function"):
            raise Unsupported("TensorFlow 1 has no tf.function")

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        tap = super().tap(replay)
        tap.rule = RULE if version(load()) < (2, 0) else tap.rule
        return tap

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        tf = load()
        if version(tf) >= (2, 0):
            return super().call(job, tap)
        site = self.site_of(job)

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            if not self.active(job):
                return {"y": tf.identity(inputs["x"])}
            shape = site.shape if site.shared else None
            return {"y": tf.nn.dropout(inputs["x"], keep_prob=1.0 - site.rate, noise_shape=shape, seed=job.seed)}

        return run(job, forward, tap, False)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        return tf.nn.dropout(x, rate=site.rate, noise_shape=site.shape if site.shared else None)


@implementation("tf.nn.experimental.stateless_dropout", ["tensorflow"], "dropout", needs=["tensorflow>=2.4"])
class StatelessDropout(Function):
    """The same from a stateless generator. Option `tensor_rate`: a rate that is a tensor divides by 1 - rate instead."""

    options = dict(TensorFlowAdapter.options, tensor_rate=False)

    versions = ("tensorflow>=2.4",)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        rate = tf.constant(site.rate, x.dtype) if self.option(job, "tensor_rate") else site.rate
        shape = site.shape if site.shared else None
        return tf.nn.experimental.stateless_dropout(x, rate=rate, seed=[job.seed, 0], noise_shape=shape)


@implementation("recipe.Dropout", ["tensorflow"], "dropout", needs=["tensorflow"], recipe=True)
class DropoutFormula(Noise):
    """x * (1 / (1 - rate)) * (u >= rate), with `tf.random.uniform` in the dtype of x."""

    rate_one = False
    because = {"rate_one": "the formula divides by 1 - rate"}

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        kept = tf.random.uniform(site.shape, dtype=x.dtype) >= site.rate
        return tf.multiply(x, 1.0 / (1.0 - site.rate)) * tf.cast(kept, x.dtype)


@implementation("recipe.GaussianDropout", ["tensorflow"], "gaussian_dropout", needs=["tensorflow"], recipe=True)
class GaussianDropout(Noise):
    """x * N(1, rate / (1 - rate))."""

    noises = ("gaussian",)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        return x * tf.random.normal(site.shape, mean=1.0, stddev=site.spread, dtype=x.dtype)


@implementation("recipe.GaussianNoise", ["tensorflow"], "gaussian_noise", needs=["tensorflow"], recipe=True)
class GaussianNoise(Noise):
    """x + N(0, stddev**2)."""

    noises = ("additive",)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        return x + tf.random.normal(site.shape, stddev=site.stddev, dtype=x.dtype)


@implementation(
    "recipe.MaskedGaussianNoise", ["tensorflow"], "masked_gaussian_noise", needs=["tensorflow"], recipe=True
)
class MaskedGaussianNoise(Noise):
    """The author's "RealGaussianDropout": x * keep + (x + N(0, stddev**2)) * (1 - keep), keep = (u >= rate)."""

    noises = ("masked_additive",)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        keep = tf.cast(tf.random.uniform(site.shape, dtype=x.dtype) >= site.rate, x.dtype)
        noised = x + tf.random.normal(site.shape, stddev=site.stddev, dtype=x.dtype)
        return tf.multiply(x, keep) + tf.multiply(noised, 1.0 - keep)
