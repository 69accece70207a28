"""A program in TensorFlow 2 or Keras on it under observation: a model, a layer, or a function, run eagerly.

Operations are seen by TensorFlow's op callbacks (`tf.function` runs as Python for the time), draws by the tap. There is no
float64 run: the limits of a pair come from the other side's rounding.

A Keras model's arrays go by their paths, with dots. Its seed generators start from the request's seed; what a call changes is put
back.
"""

import contextlib
import math
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract import keras_models, users
from harness.frameworks.contract.calling import arguments, words
from harness.frameworks.contract.making import SEED, Generators, global_seeds, thing_of
from harness.frameworks.contract.own_files import TargetError
from harness.frameworks.contract.programs import (
    ABOVE,
    BELOW,
    DECISION,
    NORMAL,
    Drawn,
    ProgramError,
    Request,
    Step,
    Trace,
    compared,
    cotangent,
    fingerprint,
    flattened,
    weighed,
    with_idle,
)
from harness.frameworks.contract.programs import UNIFORM as NUMBERS
from harness.frameworks.tensorflow.tap import TensorFlowTap, extreme, untapped
from harness.tape import UNIFORM, TapeMismatch

MOVES = frozenset(
    [
        "Reshape",
        "Transpose",
        "ExpandDims",
        "Squeeze",
        "Identity",
        "Pack",
        "StridedSlice",
        "ReadVariableOp",
        "Cast",
        "Split",
        "SplitV",
        "Unpack",
        "TensorListStack",
        "TensorListFromTensor",
        "TensorListGetItem",
        "TensorListSetItem",
        "StopGradient",
        "Slice",
        "BroadcastTo",
    ]
)
ROOM = frozenset(
    ["Fill", "ZerosLike", "OnesLike", "Const", "Range", "Shape", "Size", "VarHandleOp", "AssignVariableOp"]
)
DRAWS = frozenset(
    [
        "RandomUniform",
        "StatelessRandomUniformV2",
        "StatelessRandomUniform",
        "StatefulUniform",
        "RandomStandardNormal",
        "StatelessRandomNormalV2",
        "StatelessRandomNormal",
        "StatefulStandardNormalV2",
    ]
)
COMPARED = {"Less": BELOW, "LessEqual": BELOW, "GreaterEqual": ABOVE, "Greater": ABOVE}


class ProgramTap(TensorFlowTap):
    """The tap with a program's books: decisions with their probabilities and places; a tape gives decisions or numbers."""

    def __init__(self, tape: Optional[Sequence[Drawn]], watcher: "Watcher") -> None:
        super().__init__()
        self.tape = None if tape is None else list(tape)
        self.watcher = watcher
        self.taken = 0

    def exchange(self, kind: str, key: Any, values: np.ndarray) -> np.ndarray:
        """What the program is given for what TensorFlow drew."""
        what = NUMBERS if kind == UNIFORM else NORMAL
        if self.tape is None:
            self.watcher.drew(what, values)
            return values
        try:
            if self.taken >= len(self.tape):
                raise TapeMismatch("draws %s %s, after all %d draws of the tape" % (what, values.shape, len(self.tape)))
            given = self.tape[self.taken]
            self.taken += 1
            if given.shape != tuple(values.shape):
                words = (self.taken - 1, what, values.shape, given.kind, given.shape)
                raise TapeMismatch("draw %d is %s %s where the tape has %s%s" % words)
        except TapeMismatch as error:
            self._error = self._error or error
            raise
        self.watcher.draws.append(given)
        if given.kind == DECISION:
            high = given.values if given.rule != "u <" else ~given.values.astype(bool)
            return extreme(np.asarray(high, dtype=bool), values.dtype)
        return np.asarray(given.values).astype(values.dtype)

    def finished(self) -> None:
        """Raise TapeMismatch where the program drew less than the tape holds."""
        if self.tape is not None and self.taken < len(self.tape):
            raise TapeMismatch("drew %d times where the tape has %d draws" % (self.taken, len(self.tape)))


class Watcher:
    """Numbers the operations that TensorFlow tells it of."""

    def __init__(self, values: bool) -> None:
        self.values = values
        self.forward = True
        self.draws: List[Drawn] = []
        self.steps: List[Step] = []
        self.prints: List[np.ndarray] = []
        self._step: Dict[int, int] = {}
        self._uniform: Dict[int, Tuple[int, float]] = {}
        #: the draws that a tensor rests on, a bit for each.
        self._rests: Dict[int, int] = {}
        #: tensors live as long as this: their ids are their names.
        self._alive: List[Any] = []
        #: the uniform that the next tensor without an operation of its own is.
        self._last: Optional[Any] = None

    def drew(self, kind: str, values: np.ndarray) -> None:
        """A draw, as the tap sees it; right after its operation."""
        place, source = users.line()
        numbers = np.asarray(values).astype(np.float64)
        self.draws.append(
            Drawn(kind, numbers, math.nan, "", _scope(), place, source, values.dtype.name, len(self.steps))
        )
        if self._last is not None:
            self._rests[id(self._last)] = 1 << (len(self.draws) - 1)
            if kind == NUMBERS:
                self._uniform[id(self._last)] = (len(self.draws) - 1, 0.0)

    def idle(self, outputs: Sequence[Any]) -> List[Drawn]:
        """The draws, with those marked on which no output rests."""
        rests = 0
        for output in outputs:
            rests |= self._rests.get(id(output), 0)
        return with_idle(self.draws, rests)

    def step_of(self, tensor: Any) -> int:
        """The operation that a tensor comes from; -1: none that was seen."""
        return self._step.get(id(tensor), -1)

    def callback(
        self, op_type: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        """Called by TensorFlow after every eager operation."""
        name = op_type.decode() if isinstance(op_type, bytes) else str(op_type)
        if not self.forward or graph is not None or not outputs:
            return
        if name in DRAWS:
            self._last = outputs[0]
            self._alive.append(outputs[0])
            return
        rests = 0
        for item in inputs:
            rests |= self._rests.get(id(item), 0)
        for output in outputs if rests else ():
            self._rests[id(output)] = rests
            self._alive.append(output)
        uniform = self._follow(name, inputs, outputs[0])
        if uniform is not None:
            self._uniform[id(outputs[0])] = uniform
            self._alive.append(outputs[0])
        sources = tuple(dict.fromkeys(self._step[id(item)] for item in inputs if id(item) in self._step))
        for number, output in enumerate(outputs):
            if not getattr(getattr(output, "dtype", None), "is_floating", False) or not hasattr(output, "numpy"):
                continue
            if name in MOVES:
                if sources:
                    self._know(output, max(sources))
                continue
            if name in ROOM or uniform is not None:
                continue
            if number == 0:
                place, source = users.line()
                shape = tuple(int(size) for size in output.shape)
                self.steps.append(Step(name, shape, sources, _scope(), place, source, output.dtype.name))
                if self.values:
                    self.prints.append(fingerprint(output.numpy()))
            self._know(output, len(self.steps) - 1)

    def _know(self, tensor: Any, step: int) -> None:
        self._step[id(tensor)] = step
        self._alive.append(tensor)

    def _follow(self, name: str, inputs: Any, result: Any) -> Optional[Tuple[int, float]]:
        """What becomes of a uniform: moved, shifted by a number, or decided from."""
        at = next((number for number, item in enumerate(inputs) if id(item) in self._uniform), None)
        if at is None:
            return None
        number, offset = self._uniform[id(inputs[at])]
        other = None
        if len(inputs) == 2:
            values = np.asarray(inputs[1 - at]).astype(np.float64).ravel()
            other = float(values[0]) if values.size and np.all(values == values[0]) else None
        if name in MOVES:
            return number, offset
        if name in ("AddV2", "Add") and other is not None:
            return number, offset + other
        if name == "Sub" and other is not None and at == 0:
            return number, offset - other
        if name == "Mul" and other == 1.0:
            # random.uniform(low, high) is u (high - low) + low.
            return number, offset
        if name in COMPARED and other is not None:
            rule, p = compared(COMPARED[name], at, offset, other)
            self._decide(number, np.asarray(result), p, rule)
        elif name == "Floor":
            self._decide(number, np.asarray(result) >= 1, offset, "floor(p + u)")
        return None

    def _decide(self, number: int, values: np.ndarray, p: float, rule: str) -> None:
        if self.draws[number].kind == NUMBERS and values.shape == self.draws[number].shape:
            self.draws[number] = self.draws[number]._replace(kind=DECISION, values=values, p=p, rule=rule)


def _scope() -> str:
    """The path of the Keras layer that runs, or the name scope."""
    from tensorflow.python.eager import context

    return keras_models.scope() or str(context.context().scope_name or "").rstrip("/").replace("/", ".")


def observe(target: Any, request: Request) -> Trace:
    """Call a program and write down what it does. Raises ProgramError with the user's own lines."""
    import tensorflow as tf
    from tensorflow.python.framework import op_callbacks

    watcher = Watcher(request.values)
    tap = ProgramTap(request.tape, watcher)
    eagerly = tf.config.functions_run_eagerly()
    kept: List[Tuple[Any, np.ndarray]] = []
    try:
        thing, name = _model(target, request)
        generators = Generators()
        arrays = keras_models.variables(thing)
        kept = [(variable, np.array(variable.numpy())) for variable in getattr(thing, "variables", ())]
        for path, value in (request.weights or {}).items():
            if path in arrays:
                arrays[path].assign(value)
        parameters = {path: np.array(variable.numpy()) for path, variable in arrays.items()}
        tf.random.set_seed(request.seed)
        keras_models.seed(thing, request.seed)
        inputs = {key: tf.convert_to_tensor(value) for key, value in request.inputs.items()}
        tf.config.run_functions_eagerly(True)
        known = dict(words(request.mode, request.seed), weights=request.weights)
        function = thing.call if hasattr(thing, "call") and hasattr(thing, "weights") else thing
        positional, named = (
            keras_models.arguments(thing, inputs, request.mode == "train")
            if keras_models.is_keras(thing)
            else arguments(function, inputs, known, name)
        )
        op_callbacks.add_op_callback(watcher.callback)
        try:
            with tf.GradientTape(persistent=True, watch_accessed_variables=True) as tape, tap:
                floats = {key: value for key, value in inputs.items() if value.dtype.is_floating}
                for value in floats.values():
                    tape.watch(value)
                with keras_models.phase(thing, request.mode == "train"):
                    returned = thing(*positional, **named)
                outputs = flattened(returned, lambda item: tf.is_tensor(item) or isinstance(item, np.ndarray))
                watcher.forward = False
        finally:
            op_callbacks.remove_op_callback(watcher.callback)
        tap.finished()
        if not outputs:
            raise ProgramError("returned no array")
        gradients = _gradients(tape, outputs, floats, arrays, request.outputs) if request.gradients else {}
        state = {path: np.array(variable.numpy()) for path, variable in arrays.items() if not variable.trainable}
    except ProgramError:
        raise
    except TapeMismatch as error:
        raise ProgramError(str(error)) from error
    except TargetError as error:
        raise ProgramError(str(error), error.detail) from error
    except (Exception, SystemExit) as error:
        raise ProgramError(users.said(error), users.own_lines(error)) from error
    finally:
        tf.config.run_functions_eagerly(eagerly)
        for variable, value in kept:
            variable.assign(value)
    wide = np.zeros((0, 0))
    steps = {key: watcher.step_of(value) for key, value in outputs.items()}
    return Trace(
        draws=watcher.idle(list(outputs.values())) if request.tape is None else watcher.draws,
        steps=watcher.steps,
        outputs={key: np.array(value) for key, value in outputs.items()},
        clean={},
        sensitivity={},
        gradients=gradients,
        clean_gradients={},
        prints=np.array(watcher.prints) if watcher.prints else wide,
        clean_prints=wide,
        spread=np.zeros(0),
        output_steps={key: step for key, step in steps.items() if step >= 0},
        parameters=parameters,
        state=state,
        notes=generators.notes(),
    )


def _gradients(
    tape: Any, outputs: Dict[str, Any], inputs: Dict[str, Any], arrays: Dict[str, Any], believed: Sequence[str]
) -> Dict[str, np.ndarray]:
    import tensorflow as tf

    wanted = {"input/" + key: value for key, value in inputs.items()}
    wanted.update(("weight/" + key, value) for key, value in arrays.items() if value.trainable)
    numbered = [(number, outputs[key]) for key, number in weighed(list(outputs), believed).items()]
    rooted = [(number, out) for number, out in numbered if tf.is_tensor(out) and out.dtype.is_floating]
    if not wanted or not rooted:
        return {}
    weights = [tf.cast(tf.constant(cotangent(out.shape, number)), out.dtype) for number, out in rooted]
    sources = [getattr(value, "value", value) if _is_variable(value) else value for value in wanted.values()]
    found = tape.gradient([out for _, out in rooted], sources, output_gradients=weights)
    return {key: np.array(tf.convert_to_tensor(value)) for key, value in zip(wanted, found) if value is not None}


def _is_variable(value: Any) -> bool:
    """Whether this is Keras 3's variable, around TensorFlow's."""
    return type(value).__module__.startswith("keras.") and not callable(getattr(value, "value", None))


def _model(target: Any, request: Request) -> Tuple[Any, str]:
    import tensorflow as tf

    def is_model(thing: Any) -> bool:
        return keras_models.is_keras(thing) or isinstance(thing, tf.Module)

    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        tf.random.set_seed(SEED)
        with untapped():
            yield

    thing, name = thing_of(target, request.inputs, is_model, quiet)
    keras_models.require(thing, "tensorflow")
    if keras_models.is_keras(thing):
        with global_seeds():
            keras_models.build(thing, {key: tf.convert_to_tensor(value) for key, value in request.inputs.items()})
    return thing, name
