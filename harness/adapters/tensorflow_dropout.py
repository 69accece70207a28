"""TensorFlow's own dropout functions and the formulas that people write beside them.

`tf.nn.dropout` (https://www.tensorflow.org/api_docs/python/tf/nn/dropout) draws from the stateful generator,
`tf.nn.experimental.stateless_dropout` from `seed=[job.seed, 0]`. The recipes are those of a well-known answer on Gaussian
dropout: `tf.random.uniform` and `tf.random.normal` with a formula around them.

Import policy: TensorFlow is imported inside functions only.
"""

import math
from typing import Any, List, Optional, Sequence, Tuple

from harness.adapters.base import Job, Outcome, SiteSpec, Unsupported, implementation
from harness.adapters.tensorflow1_base import RULE, run, version
from harness.adapters.tensorflow_arrays import load
from harness.adapters.tensorflow_base import Network, TensorFlowAdapter, Tensors, refuse_rate_one
from harness.adapters.tensorflow_tap import TensorFlowTap
from harness.tape import BERNOULLI, NORMAL, Draw, Slot

SITE = "input"


class Noise(TensorFlowAdapter):
    """y = noise(x): draws of the site's shape, one for each of `kinds`."""

    sites = (SITE,)
    #: slot name and kind of every draw, in order.
    kinds: Tuple[Tuple[str, str], ...] = ((SITE, BERNOULLI),)

    def site_of(self, job: Job) -> SiteSpec:
        """The one site."""
        site = job.site(SITE)
        assert site is not None
        return site

    def active(self, job: Job) -> bool:
        """Whether a call draws."""
        return job.train and self.site_of(job).rate > 0.0

    def slots(self, job: Job) -> List[Slot]:
        if not self.active(job):
            return []
        shape = tuple(self.site_of(job).shape)
        return [Slot(name, kind, shape, shape) for name, kind in self.kinds]

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
        super(Function, self).check(job)
        refuse_rate_one(job, load())


@implementation("tf.nn.dropout", ["tensorflow"], "dropout", needs=["tensorflow"])
class Dropout(Function):
    """u >= rate, survivors times the rounded reciprocal of 1 - rate.

    TensorFlow 1: floor(keep_prob + u), survivors over keep_prob; in a graph, with `seed=job.seed` for the op.
    """

    def check_version(self, tf: Any) -> None:
        """It is in every TensorFlow."""

    def check(self, job: Job) -> None:
        super(Dropout, self).check(job)
        if version(load()) < (2, 0) and self.option(job, "tf_function"):
            raise Unsupported("TensorFlow 1 has no tf.function")

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        tap = super(Dropout, self).tap(replay)
        tap.rule = RULE if version(load()) < (2, 0) else tap.rule
        return tap

    def call(self, job: Job) -> Outcome:
        tf = load()
        if version(tf) >= (2, 0):
            return super(Dropout, self).call(job)
        assert self._tap is not None
        site = self.site_of(job)

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            if not self.active(job):
                return {"y": tf.identity(inputs["x"])}
            shape = site.shape if site.shared else None
            return {"y": tf.nn.dropout(inputs["x"], keep_prob=1.0 - site.rate, noise_shape=shape, seed=job.seed)}

        return run(job, forward, self._tap, False)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        return tf.nn.dropout(x, rate=site.rate, noise_shape=site.shape if site.shared else None)


@implementation("tf.nn.experimental.stateless_dropout", ["tensorflow"], "dropout", needs=["tensorflow>=2.4"])
class StatelessDropout(Function):
    """The same from a stateless generator. Option `tensor_rate`: a rate that is a tensor divides by 1 - rate instead."""

    options = dict(TensorFlowAdapter.options, tensor_rate=False)

    def check_version(self, tf: Any) -> None:
        super(StatelessDropout, self).check_version(tf)
        if not hasattr(getattr(tf.nn, "experimental", None), "stateless_dropout"):
            raise Unsupported("TensorFlow %s has no tf.nn.experimental.stateless_dropout" % tf.__version__)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        rate = tf.constant(site.rate, x.dtype) if self.option(job, "tensor_rate") else site.rate
        shape = site.shape if site.shared else None
        return tf.nn.experimental.stateless_dropout(x, rate=rate, seed=[job.seed, 0], noise_shape=shape)


@implementation("recipe.Dropout", ["tensorflow"], "dropout", needs=["tensorflow"], recipe=True)
class DropoutFormula(Noise):
    """x * (1 / (1 - rate)) * (u >= rate), with `tf.random.uniform` in the dtype of x."""

    def check(self, job: Job) -> None:
        super(DropoutFormula, self).check(job)
        if self.site_of(job).rate == 1.0:
            raise Unsupported("the formula divides by 1 - rate")

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        kept = tf.random.uniform(site.shape, dtype=x.dtype) >= site.rate
        return tf.multiply(x, 1.0 / (1.0 - site.rate)) * tf.cast(kept, x.dtype)


@implementation("recipe.GaussianDropout", ["tensorflow"], "gaussian_dropout", needs=["tensorflow"], recipe=True)
class GaussianDropout(Noise):
    """x * N(1, rate / (1 - rate))."""

    noises = ("gaussian",)
    kinds = ((SITE, NORMAL),)

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        stddev = math.sqrt(site.rate / (1.0 - site.rate))
        return x * tf.random.normal(site.shape, mean=1.0, stddev=stddev, dtype=x.dtype)


@implementation("recipe.GaussianNoise", ["tensorflow"], "gaussian_noise", needs=["tensorflow"], recipe=True)
class GaussianNoise(Noise):
    """x + N(0, stddev**2)."""

    noises = ("additive",)
    kinds = ((SITE, NORMAL),)

    def active(self, job: Job) -> bool:
        return job.train and self.site_of(job).stddev > 0.0

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        return x + tf.random.normal(site.shape, stddev=site.stddev, dtype=x.dtype)


@implementation(
    "recipe.MaskedGaussianNoise", ["tensorflow"], "masked_gaussian_noise", needs=["tensorflow"], recipe=True
)
class MaskedGaussianNoise(Noise):
    """The author's "RealGaussianDropout": x * keep + (x + N(0, stddev**2)) * (1 - keep), keep = (u >= rate)."""

    noises = ("masked_additive",)
    kinds = ((SITE, BERNOULLI), (SITE + "/" + NORMAL, NORMAL))

    def active(self, job: Job) -> bool:
        return job.train and self.site_of(job).rate > 0.0 and self.site_of(job).stddev > 0.0

    def noisy(self, tf: Any, job: Job, x: Any) -> Any:
        site = self.site_of(job)
        keep = tf.cast(tf.random.uniform(site.shape, dtype=x.dtype) >= site.rate, x.dtype)
        noised = x + tf.random.normal(site.shape, stddev=site.stddev, dtype=x.dtype)
        return tf.multiply(x, keep) + tf.multiply(noised, 1.0 - keep)
