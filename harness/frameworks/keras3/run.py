"""Running a Keras network on whichever backend the process has: forward, gradients and draws, by canonical names.

Seeds: every layer with randomness gets `seed=job.seed`, as a user would write it; `keras.utils.set_random_seed` is not
called. On TensorFlow `tf.random.set_seed(job.seed)` is called too, for what draws statefully.

Import policy: Keras and the frameworks are imported inside functions only.
"""

import contextlib
import functools
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome, Tap, Unsupported, implementation
from harness.frameworks.jax import lazy as jax_lazy
from harness.frameworks.jax.cache import use_compilation_cache
from harness.frameworks.keras3.jax_tap import RULE, KerasJaxTap, Seen, Trace
from harness.frameworks.keras3.load import BACKENDS, load
from harness.frameworks.tensorflow.base import Network, Tensors, reset_states, run_tensorflow
from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.tape import Draw

#: How many compiled functions an adapter keeps, so that memory stays flat as cases grow.
KEPT = 32


class KerasAdapter(Adapter):
    """One Keras 3 API on TensorFlow, torch or JAX. Subclasses write `slots` and `network`.

    Options: `tf_function` (TensorFlow) traces the call; `jit` (JAX, the default) compiles it.
    """

    options: Dict[str, Any] = {"tf_function": False, "jit": True}
    scales = ("inverted",)

    def __init__(self) -> None:
        self._compiled: "OrderedDict[str, _Compiled]" = OrderedDict()

    @property
    def recalls(self) -> bool:  # type: ignore[override]
        """On JAX a layer's random state is an argument of the compiled function: there a second call is the caller's."""
        return _worker_backend() != "jax"

    def check(self, job: Job) -> None:
        super().check(job)
        for name, backend in (("tf_function", "tensorflow"), ("jit", "jax")):
            if name in job.options and job.backend != backend:
                raise Unsupported("option %r is for Keras on %s, not on %s" % (name, backend, job.backend))

    def network(self, keras: Any, job: Job) -> Network:
        """Build the layers for this job; weights are assigned afterwards."""
        raise NotImplementedError

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        load(_worker_backend())
        backend = _worker_backend()
        if backend == "tensorflow":
            return TensorFlowTap(replay)
        if backend == "jax":
            return KerasJaxTap(replay)
        from harness.frameworks.torch.tap import TorchTap

        return TorchTap(replay, rule=RULE)

    def run(self, job: Job) -> Any:
        """As Adapter.run, with Keras loaded on the job's backend first."""
        self.check(job)
        load(job.backend)
        return super().run(job)

    def call(self, job: Job, tap: Any) -> Outcome:
        keras = load(job.backend)
        if job.backend == "tensorflow":
            tap.calls = job.calls
            return run_tensorflow(self.prepared(keras, job), job, bool(self.option(job, "tf_function")))
        if job.backend == "torch":
            return run_torch(self.prepared(keras, job), job)
        return self._run_jax(keras, job, tap)

    def prepared(self, keras: Any, job: Job) -> Network:
        """The network with the job's weights."""
        network = self.network(keras, job)
        assign(network, job)
        return network

    def _run_jax(self, keras: Any, job: Job, tap: KerasJaxTap) -> Outcome:
        use_compilation_cache()
        with precision(job):
            key = _signature(job)
            if key not in self._compiled:
                self._compiled[key] = _Compiled(self.prepared(keras, job), job, bool(self.option(job, "jit")))
            self._compiled.move_to_end(key)
            if len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
            return self._compiled[key](job, tap)


def _worker_backend() -> str:
    """The backend that Keras runs on in this process, or will."""
    import os

    return os.environ.get("KERAS_BACKEND", "tensorflow")


def keras_implementation(name: str, layer: str) -> Callable[[Any], Any]:
    """Register an adapter of Keras 3 on each of its backends; each needs that backend's package."""

    def decorate(cls: Any) -> Any:
        for backend in BACKENDS:
            implementation(name, [backend], layer, needs=["keras>=3", backend])(cls)
        return cls

    return decorate


def assign(network: Network, job: Job) -> None:
    """Give the network's variables the job's weights."""
    for name, variable in network.variables.items():
        variable.assign(_native(job.backend, job.weights[name]))


def _native(backend: str, array: np.ndarray) -> Any:
    """An array as a tensor of the backend, of the same dtype."""
    if backend == "torch":
        from harness.frameworks.torch.arrays import from_numpy

        return from_numpy(array)
    if backend == "jax":
        import jax.numpy as jnp

        return jnp.asarray(array)
    import tensorflow as tf

    return tf.constant(array, dtype=array.dtype.name)


def run_torch(network: Network, job: Job) -> Outcome:
    """Run on torch with autograd."""
    from harness.frameworks.torch.base import evaluated, same

    variables = network.variables.items()
    return evaluated(
        job,
        network.forward,
        lambda: {name: (variable.value, same) for name, variable in variables},
        lambda: reset_states(network.layers),
    )


def precision(job: Job) -> Any:
    """JAX computes in float64 only where it has been told so."""
    return jax_lazy.precision(job.dtype) if job.backend == "jax" else contextlib.ExitStack()


def _signature(job: Job) -> str:
    """What a compiled function depends on: everything but the seed and the arrays' values."""
    parts = [job.config, sorted(job.options.items()), job.sites, job.mode, job.dtype, job.tape is not None]
    shapes = [
        [(name, array.shape) for name, array in arrays.items()] for arrays in (job.inputs, job.weights, job.cotangents)
    ]
    return repr((parts, shapes))


class _Compiled:
    """A network as one pure JAX function of its variables, inputs, cotangents and replayed draws; compiled once."""

    def __init__(self, network: Network, job: Job, jit: bool) -> None:
        import jax

        self._network = network
        self._seen: List[Seen] = []
        self._kinds: List[str] = []
        self._seeds = [variable for layer in network.layers for variable in layer.non_trainable_variables]
        self._jit = jit
        # Programs of their own: handing the seeds' states out changes what XLA fuses, and so the last bit of the results.
        self._run = jax.jit(self._function) if jit else self._function
        self._run_on = jax.jit(functools.partial(self._function, further=True))

    def __call__(self, job: Job, tap: KerasJaxTap) -> Outcome:
        assign(self._network, job)
        weights = {name: variable.value for name, variable in self._network.variables.items()}
        seeds = [np.asarray(_reseeded(variable, job.seed)) for variable in self._seeds]
        inputs = {name: _native("jax", array) for name, array in job.inputs.items()}
        cotangents = {name: _native("jax", array) for name, array in job.cotangents.items()}
        per_call = None if tap.replay is None else len(tap.replay) // job.calls
        reset_states(self._network.layers)
        for left in reversed(range(job.calls)):
            if job.reset and not left:
                reset_states(self._network.layers)
            replay: Optional[List[np.ndarray]] = None
            if tap.replay is not None:
                self._kinds = [draw.kind for draw in tap.replay[:per_call]]
                replay = [np.asarray(draw.values) for draw in tap.replay[:per_call]]
            if left and not self._jit:
                seeds, values = self._eagerly(inputs, seeds, replay)
            elif left:
                _, _, values, seeds = self._run_on(weights, inputs, {}, seeds, replay)
            else:
                outputs, gradients, values, _ = self._run(weights, inputs, cotangents, seeds, replay)
            tap.put(self._seen, values)
        return Outcome(_arrays(outputs), _arrays(gradients))

    def _tape(self, replay: Optional[Sequence[Any]]) -> Optional[List[Draw]]:
        """The replayed arrays as draws."""
        return None if replay is None else [Draw(kind, values) for kind, values in zip(self._kinds, replay)]

    def _eagerly(self, inputs: Tensors, seeds: Any, replay: Any) -> Tuple[List[Any], List[Any]]:
        """A plain call, which assigns to the layers' own variables; the seeds' states and the draws."""
        for variable, value in zip(self._seeds, seeds):
            variable.assign(value)
        with Trace(self._tape(replay)) as trace:
            self._network.forward(inputs)
        self._seen = trace.seen
        return [variable.value for variable in self._seeds], trace.values

    def _function(
        self, weights: Tensors, inputs: Tensors, cotangents: Tensors, seeds: Any, replay: Any, further: bool = False
    ) -> Any:
        """Pure: everything that changes comes in and goes out, as in Keras's `stateless_call`.

        That is what a layer lists as its variables: the states of a stateful layer are not among them in Keras 3.
        """
        import jax
        import jax.numpy as jnp
        import keras

        def forward(weights: Tensors, inputs: Tensors) -> Tuple[Tensors, Tuple[List[Any], List[Any]]]:
            mapping = [(variable, weights[name]) for name, variable in self._network.variables.items()]
            mapping += list(zip(self._seeds, seeds))
            with keras.StatelessScope(state_mapping=mapping) as scope, Trace(self._tape(replay)) as trace:
                outputs = self._network.forward(inputs)
            self._seen = trace.seen
            later = [scope.get_current_value(variable) for variable in self._seeds] if further else []
            return outputs, (trace.values, later)

        if not cotangents:
            outputs, (values, later) = forward(weights, inputs)
            return outputs, {}, values, later
        outputs, pull, (values, later) = jax.vjp(forward, weights, inputs, has_aux=True)
        full = {name: cotangents.get(name, jnp.zeros_like(array)) for name, array in outputs.items()}
        of_weights, of_inputs = pull(full)
        gradients = dict(of_inputs)
        gradients.update(of_weights)
        return outputs, gradients, values, later


def _reseeded(variable: Any, seed: int) -> np.ndarray:
    """The state of a fresh SeedGenerator(seed), for a layer that was built with another seed."""
    value = np.asarray(variable.value)
    if variable.path.split("/")[-1] != "seed_generator_state":
        return value
    return np.asarray([seed, 0]).astype(value.dtype)


def _arrays(named: Tensors) -> Dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in named.items()}
