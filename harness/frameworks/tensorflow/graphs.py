"""Running TensorFlow 1: a graph in a session, or eagerly where the version can (from 1.7 on), with its gradients.

A process need not choose between the two: eager execution is switched on for the time of one run. Weights come in through
a variable scope's custom getter, so that a cell is given canonical tensors where it asks for its variables.

Seeds: `tf.set_random_seed(job.seed)`, and the op seeds that an adapter gives: without them a graph numbers its ops, and the
tap's own would count.

Import policy: TensorFlow is imported inside functions only.
"""

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Job, Outcome, Unsupported
from harness.frameworks.tensorflow.arrays import load, to_numpy
from harness.frameworks.tensorflow.tap import TensorFlowTap

Tensors = Dict[str, Any]
#: (inputs, weights) to outputs, all canonical.
Forward = Callable[[Tensors, Tensors], Tensors]

RULE = "floor(keep + u)"


def version(tf: Any) -> Tuple[int, int]:
    """(major, minor) of a TensorFlow."""
    major, minor = str(tf.__version__).split(".")[:2]
    return int(major), int(minor)


def require_one(what: str) -> Tuple[int, int]:
    """The version of TensorFlow 1 that runs here. Raises Unsupported for TensorFlow 2."""
    tf = load()
    found = version(tf)
    if found[0] != 1:
        raise Unsupported("%s is TensorFlow 1's, and this is %s: name an environment" % (what, tf.__version__))
    return found


def check_draws(job: Job) -> None:
    """Raise Unsupported for draws that the tap cannot follow: in 1.3 a `py_func` knows no float16."""
    if job.dtype == "float16" and job.train and job.sites and version(load()) < (1, 4):
        raise Unsupported("TensorFlow 1.3's py_func, through which draws are recorded, knows no float16")


def require_eager(found: Tuple[int, int]) -> None:
    """Raise Unsupported where there is no eager execution."""
    if found < (1, 7):
        raise Unsupported("TensorFlow %d.%d has no eager execution" % found)


def run(job: Job, forward: Forward, tap: TensorFlowTap, eager: bool) -> Outcome:
    """Run `forward` and pull the cotangents back through it, in a session or eagerly.

    Several calls are several runs of one graph in one session. Raises Unsupported for them eagerly, where `forward` would make
    its cells anew.
    """
    if eager and job.calls > 1:
        raise Unsupported("is not called twice after one seeding when run eagerly")
    return _run_eager(job, forward) if eager else _run_graph(job, forward, tap)


def _floating(arrays: Dict[str, np.ndarray], constants: Tensors) -> Tensors:
    """The tensors that have a gradient."""
    return {name: constants[name] for name, array in arrays.items() if array.dtype.kind == "f"}


def _run_graph(job: Job, forward: Forward, tap: TensorFlowTap) -> Outcome:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.set_random_seed(job.seed)
        inputs = {name: tf.constant(array) for name, array in job.inputs.items()}
        weights = {name: tf.constant(array) for name, array in job.weights.items()}
        outputs = forward(inputs, weights)
        # An adapter may have put variables of its own in the place of the weights.
        variables = {name: weight for name, weight in weights.items() if hasattr(weight, "assign")}
        assigned = [variable.assign(tf.constant(job.weights[name])) for name, variable in variables.items()]
        gradients: Tensors = {}
        if job.cotangents:
            sources = _floating(job.inputs, inputs)
            sources.update(weights)
            names = list(job.cotangents)
            # Identities: tf.gradients loses what reaches a target through the op of another one (the c of a fused cell, whose
            # op also gives the h that is dropped afterwards).
            found = tf.gradients(
                [tf.identity(outputs[name]) for name in names],
                list(sources.values()),
                grad_ys=[tf.constant(job.cotangents[name]) for name in names],
            )
            gradients = {name: _or_zeros(tf, value, sources[name]) for name, value in zip(sources, found)}
        fetches = list(outputs.values()) + list(gradients.values())
        tap.program.prune(ancestors(fetches))
        with tf.Session(graph=graph) as session:
            session.run(tf.global_variables_initializer())
            session.run(assigned)
            tap.calls = job.calls
            for _ in range(job.calls):
                tap.restart()
                values = [np.asarray(value) for value in session.run(fetches)]
    return Outcome(dict(zip(outputs, values)), dict(zip(gradients, values[len(outputs) :])))


def _run_eager(job: Job, forward: Forward) -> Outcome:
    import tensorflow as tf
    from tensorflow.python.eager import context

    with context.eager_mode():
        tf.set_random_seed(job.seed)
        inputs = {name: tf.constant(array) for name, array in job.inputs.items()}
        weights = {name: tf.constant(array) for name, array in job.weights.items()}
        sources = _floating(job.inputs, inputs)
        sources.update(weights)
        with tf.GradientTape() as tape:
            for tensor in sources.values():
                tape.watch(tensor)
            outputs = forward(inputs, weights)
            # This tape takes one target: the sum whose gradient the cotangents pull back.
            pulled = [tf.reduce_sum(outputs[name] * tf.constant(array)) for name, array in job.cotangents.items()]
            total = tf.add_n(pulled) if pulled else None
        gradients: Tensors = {}
        if job.cotangents:
            found = tape.gradient(total, list(sources.values()))
            gradients = {name: _or_zeros(tf, value, sources[name]) for name, value in zip(sources, found)}
        return Outcome(to_numpy(outputs), to_numpy(gradients))


def _or_zeros(tf: Any, gradient: Any, source: Any) -> Any:
    """A gradient, or zeros where nothing depends on its source."""
    return tf.zeros_like(source) if gradient is None else tf.convert_to_tensor(gradient)


def ancestors(fetches: Sequence[Any]) -> List[Any]:
    """Every op that a session runs for these tensors."""
    seen = set()
    found: List[Any] = []
    waiting = [tensor.op for tensor in fetches]
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        found.append(op)
        waiting.extend(tensor.op for tensor in op.inputs)
        waiting.extend(op.control_inputs)
    return found


@contextlib.contextmanager
def given_variables(tf: Any, scope: str, find: Callable[[str], Any]) -> Iterator[None]:
    """A variable scope in which a variable that is asked for by a name is the tensor `find(name)`."""
    from tensorflow.python.ops import rnn_cell_impl

    def custom(getter: Any, name: str, *_args: Any, **_kwargs: Any) -> Any:
        return find(name)

    def unlisted(_cell: Any, getter: Any, *args: Any, **kwargs: Any) -> Any:
        return getter(*args, **kwargs)

    # Cells list which of their variables are trainable, which a tensor in eager execution cannot tell.
    listed = rnn_cell_impl.RNNCell._rnn_get_variable
    rnn_cell_impl.RNNCell._rnn_get_variable = unlisted
    try:
        with tf.variable_scope(scope, custom_getter=custom):
            yield
    finally:
        rnn_cell_impl.RNNCell._rnn_get_variable = listed


def igfo(tf: Any, weight: Any) -> Any:
    """Reorder the gates on the last axis from the canonical i, f, g, o to TensorFlow 1's i, j (that is g), f, o."""
    i, f, g, o = tf.split(weight, 4, axis=len(weight.get_shape()) - 1)
    return tf.concat([i, g, f, o], axis=len(weight.get_shape()) - 1)
