"""What all adapters that run on TensorFlow share: a network of tensors and variables, run eagerly or in a `tf.function`.

Seeds: `tf.random.set_seed(job.seed)`; the functions get no op seed, as in the documents that this project follows, unless
an adapter says otherwise.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome, Result, Unsupported
from harness.frameworks.contract.capabilities import within
from harness.frameworks.tensorflow.arrays import differentiate, load, tensors, to_numpy
from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.tape import Draw

Tensors = Dict[str, Any]


class Network(NamedTuple):
    """Layers that are built, and how to call them.

    variables  the variable of each canonical weight, in the canonical layout.
    layers     every layer, for their seeds and other state.
    forward    canonical inputs to canonical outputs, as tensors of the backend.
    extra      further tensors that `forward` finds among its inputs, such as a training flag.
    """

    variables: Dict[str, Any]
    layers: Sequence[Any]
    forward: Callable[[Tensors], Tensors]
    extra: Tensors = {}


class TensorFlowAdapter(Adapter):
    """One TensorFlow API. Subclasses write `slots` and `network`.

    Options: `tf_function` traces the call. `tapped: false` lets it draw unrecorded: in a graph's loop the tap behind a random op
    orders the steps, so that a race between them shows in the outputs of a call without it only.
    """

    options: Dict[str, Any] = {"tf_function": False, "tapped": True}
    recalls = True
    scales: Tuple[str, ...] = ("inverted",)
    versions: Tuple[str, ...] = ("tensorflow>=2",)
    #: further modules to import with TensorFlow.
    modules: Sequence[str] = ()

    def check(self, job: Job) -> None:
        super().check(job)
        self.check_version(load(*self.modules))

    def check_version(self, tf: Any) -> None:
        """Raise Unsupported where this TensorFlow has no such API."""
        for need in self.versions:
            if not within(str(tf.__version__), need):
                raise Unsupported("needs %s, and this is %s" % (need, tf.__version__))

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        load(*self.modules)
        return TensorFlowTap(replay)

    def run(self, job: Job) -> Result:
        """As Adapter.run; with `tapped: false` nothing is known of the draws."""
        if "tapped" not in self.options or self.option(job, "tapped"):
            return super().run(job)
        self.check(job)
        if job.tape is not None:
            raise Unsupported("without the tap there is no replay")
        outcome = self.call(job, self.tap(None))
        return Result(outcome.outputs, outcome.gradients, {})

    def network(self, tf: Any, job: Job) -> Network:
        """Build what this job calls, weights included."""
        raise NotImplementedError

    def trips(self, job: Job) -> Sequence[int]:
        """How often each loop that draws runs, in program order."""
        return ()

    def call(self, job: Job, tap: TensorFlowTap) -> Outcome:
        tf = load(*self.modules)
        tap.program.trips = tuple(self.trips(job))
        tap.calls = job.calls
        return run_tensorflow(self.network(tf, job), job, bool(self.option(job, "tf_function")))


def run_tensorflow(network: Network, job: Job, tf_function: bool) -> Outcome:
    """Run on TensorFlow: eagerly, or traced once as a `tf.function`."""
    import tensorflow as tf

    tf.random.set_seed(job.seed)
    variables = {name: getattr(variable, "_value", variable) for name, variable in network.variables.items()}

    def step(inputs: Tensors, cotangents: Tensors) -> Any:
        return differentiate(network.forward, inputs, variables, cotangents)

    run = tf.function(step) if tf_function else step
    inputs = tensors(job.inputs)
    inputs.update(network.extra)
    for left in reversed(range(job.calls)):
        if job.reset and not left:
            reset_states(network.layers)
        outputs, gradients = run(inputs, tensors(job.cotangents))
    return Outcome(to_numpy(outputs), to_numpy(gradients))


def reset_states(layers: Sequence[Any]) -> None:
    """Reset the states of every layer that keeps them, by its own method."""
    for layer in layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()


def check_training(training: Any, tf_function: bool) -> None:
    """Raise Unsupported for a value of option `training` that means nothing here."""
    if training == "tensor" and not tf_function:
        raise Unsupported("a training flag that is a tensor is a matter of tf_function: true")


def with_training(call: Callable[[Any, Any], Any], layer: Any, job: Job, as_tensor: bool) -> Network:
    """The network y = call(x, training); the flag is Python's, or a tensor that a `tf.function` is given."""
    if not as_tensor:
        return Network({}, [layer], lambda inputs: {"y": call(inputs["x"], job.train)})
    import tensorflow as tf

    extra = {"training": tf.constant(job.train)}
    return Network({}, [layer], lambda inputs: {"y": call(inputs["x"], inputs["training"])}, extra)


def refuse_rate_one(job: Job, tf: Any) -> None:
    """Raise Unsupported with TensorFlow's own words where `tf.nn.dropout` would raise."""
    if not job.train or not any(site.rate == 1.0 for site in job.sites):
        return
    first = str(tf.__version__).startswith("1.")
    try:
        tf.nn.dropout(np.ones((1,), np.float32), **({"keep_prob": 0.0} if first else {"rate": 1.0}))
    except ValueError as error:
        raise Unsupported("tf.nn.dropout refuses rate 1: %s" % error)
