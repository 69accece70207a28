"""The tap for TensorFlow: its generated random ops, replaced as module attributes for the time of a run.

`tf.nn.dropout`, Keras and tf_keras all draw through `tensorflow.python.ops.gen_random_ops` and its stateless and stateful
neighbours, and look the functions up at call time (https://www.tensorflow.org/api_docs/python/tf/random). The native op
always runs, so kernels, counters and seeds move on as they would; a recording passes its value through unchanged, a replay
passes the tape's value instead. `tf.raw_ops` holds the same functions behind wrappers of its own, whose cells are replaced too.
Draws of a function that makes a variable's initial value are initialisation, not dropout: they happen, unrecorded. In a graph
the passing through is a `numpy_function` (TensorFlow 1: `py_func`) right behind the native op, which knows its place in program
order and, inside a loop, its step.

A random op that has no meaning here raises TapeMismatch: nothing is drawn unseen.

Import policy: TensorFlow is imported inside functions only.
"""

import contextlib
import importlib
import inspect
import itertools
import re
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Tap, draw_of
from harness.tape import BERNOULLI, NORMAL, UNIFORM, Draw, TapeMismatch, deciding_uniforms

#: A draw's place in program order: (node,), or (loop, step, node) inside a loop.
Key = Tuple[int, ...]

MODULES = (
    "tensorflow.python.ops.gen_random_ops",
    "tensorflow.python.ops.gen_stateless_random_ops",
    "tensorflow.python.ops.gen_stateless_random_ops_v2",
    "tensorflow.python.ops.gen_stateful_random_ops",
)

#: What an op's values are; every other random op is refused. Leading underscores are TensorFlow 1.3's hidden names.
KINDS = {
    "random_uniform": UNIFORM,
    "random_standard_normal": NORMAL,
    "stateless_random_uniform": UNIFORM,
    "stateless_random_normal": NORMAL,
    "stateless_random_uniform_v2": UNIFORM,
    "stateless_random_normal_v2": NORMAL,
    "stateful_uniform": UNIFORM,
    "stateful_standard_normal": NORMAL,
    "stateful_standard_normal_v2": NORMAL,
}

#: Ops that only derive keys and counters: nothing is drawn there.
DERIVING = (
    "stateless_random_get_alg",
    "stateless_random_get_key_counter",
    "stateless_random_get_key_counter_alg",
    "rng_read_and_skip",
    "rng_skip",
    "random_gamma_grad",
)

_RANDOM = re.compile(r"random|stateless|stateful|multinomial|truncated_normal|non_deterministic|rng_")
_CLOCK = itertools.count()
_ACTIVE: List["TensorFlowTap"] = []
#: What the code around a random op said of it (`naming`), innermost last; and by node, for as long as graphs may live.
_NAMING: List[Any] = []
_NAMED: Dict[int, Any] = {}


def below_one(dtype: np.dtype) -> np.ndarray:
    """The largest number below 1 of a float dtype."""
    if dtype.name == "bfloat16":
        return np.asarray(1.0 - 2.0**-8).astype(dtype)
    one = np.ones((), dtype)
    return np.asarray(np.nextafter(one, np.zeros((), dtype)) if dtype.kind == "f" and dtype.itemsize > 1 else one)


def extreme(keep: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return uniforms in [0, 1) that decide as `keep` says, whatever the rate in (0, 1): the largest below 1, or 0."""
    return np.where(keep, below_one(dtype), np.zeros((), dtype)).astype(dtype)


@contextlib.contextmanager
def naming(what: Any) -> Iterator[None]:
    """Draws of this block, also where it is traced to run later, are `what` (see `TensorFlowTap.names`)."""
    _NAMING.append(what)
    try:
        yield
    finally:
        _NAMING.pop()


@contextlib.contextmanager
def untapped() -> Iterator[None]:
    """Draws in this block are neither recorded nor replayed by the taps around it."""
    patched = [item for tap in _ACTIVE for item in tap.patched]
    hooks = [(module, name, getattr(module, name)) for module, name, _ in patched]
    for module, name, original in reversed(patched):
        setattr(module, name, original)
    try:
        yield
    finally:
        for module, name, hook in hooks:
            setattr(module, name, hook)


class TensorFlowTap(Tap):
    """Records uniforms with the rule "u >= rate" (TensorFlow 1's dropout: "floor(keep + u)") and standard normals."""

    def __init__(self, replay: Optional[Sequence[Draw]] = None, rule: str = "u >= rate") -> None:
        super().__init__(replay)
        self.rule = rule
        self.program = Program()
        #: how many calls a tape is for: a function graph that is called again takes the next call's part.
        self.calls = 1
        self._tape = None if replay is None else list(replay)
        self._records: List[Tuple[Key, Draw]] = []
        self._taken: Set[int] = set()
        self._seen: Set[Key] = set()
        self._call = 0
        self._visits: Dict[int, int] = {}
        self.patched: List[Tuple[Any, str, Any]] = []
        self._creating = contextlib.ExitStack()
        self._error: Optional[TapeMismatch] = None
        #: what was said of each draw by `naming`, or None.
        self.names: List[Any] = []

    @property
    def count(self) -> int:
        """How many draws have been made so far; `draws` has them once the tap is left."""
        return len(self._records)

    def __enter__(self) -> "TensorFlowTap":
        _ACTIVE.append(self)
        for holder, attribute, name, original in _border():
            self.patched.append((holder, attribute, original))
            setattr(holder, attribute, _hook(name, original))
        self._creating.enter_context(_initial_values())
        return self

    def __exit__(self, *exc: Any) -> None:
        self._creating.close()
        for module, name, original in reversed(self.patched):
            setattr(module, name, original)
        del self.patched[:]
        _ACTIVE.remove(self)
        self._records.sort(key=lambda record: record[0])
        self.draws = [draw for _, draw in self._records]
        self.names = [_NAMED.get(key[-1]) for key, _ in self._records]
        for key, _ in self._records:
            if self.program.made_at_once(key[-1]):
                _NAMED.pop(key[-1], None)
        if self._tape is not None:
            self.replay = [draw for index, draw in enumerate(self._tape) if index not in self._taken]
        if self._error is not None:
            # TensorFlow wraps what a numpy_function raises in an error of its own.
            raise self._error

    def exchange(self, kind: str, key: Key, values: np.ndarray) -> np.ndarray:
        """Take what the framework drew at `key`; return what it shall use. Runs at execution time."""
        if key in self._seen:
            # The function that the node is in is called again.
            self._call += 1
            self._seen.clear()
        self._seen.add(key)
        try:
            if self._tape is not None and self._call >= self.calls:
                raise TapeMismatch("one node of a graph drew twice from one tape")
            used = values if self._tape is None else self._from_tape(kind, key, values)
        except TapeMismatch as error:
            self._error = self._error or error
            raise
        self._records.append(((self._call, *key), Draw(kind, np.array(used), self.rule if kind == UNIFORM else "")))
        return used

    def restart(self) -> None:
        """A graph of TensorFlow 1 is run again: the steps of its loops count from the first one."""
        self._visits.clear()

    def visit(self, node: int) -> int:
        """How often this node of a TensorFlow 1 loop has run: its step, when iterations run one after another."""
        count = self._visits.get(node, 0)
        self._visits[node] = count + 1
        return count

    def _from_tape(self, kind: str, key: Key, values: np.ndarray) -> np.ndarray:
        assert self._tape is not None
        wanted = BERNOULLI if kind == UNIFORM else NORMAL
        part = len(self._tape) // self.calls
        index = self._call * part + self.program.position(key, part)
        draw = draw_of(self._tape, index, wanted, values.shape)
        self._taken.add(index)
        if kind == NORMAL:
            return np.asarray(draw.values).astype(values.dtype)
        kept = np.asarray(draw.values, dtype=bool)
        top = float(below_one(values.dtype))
        uniforms = deciding_uniforms(
            kept, self.rule, draw.params.get("rate"), top, lambda inner: inner.astype(values.dtype)
        )
        return uniforms.astype(values.dtype)


class Program:
    """The random nodes in program order, which gives every draw its index on a tape before anything has run.

    trips  how often each loop runs, in program order; an adapter that replays several loops says so.
    """

    def __init__(self) -> None:
        self.trips: Sequence[int] = ()
        self._plain: List[int] = []
        self._loops: Dict[int, List[int]] = {}
        self._ops: Dict[int, Any] = {}

    def add(self, node: int, loop: Optional[int] = None, op: Any = None) -> None:
        """Note a node; `loop` is the number of the loop around it, `op` the graph's op that passes its value on."""
        self._ops[node] = op
        if loop is None:
            self._plain.append(node)
        else:
            self._loops.setdefault(loop, []).append(node)

    def made_at_once(self, node: int) -> bool:
        """Whether a node was run eagerly, and so never will be again."""
        return node in self._ops and self._ops[node] is None

    def prune(self, ops: Sequence[Any]) -> None:
        """Forget the nodes of a graph that are not among the `ops` that a session will run."""
        running = {op.name for op in ops}
        dead = {node for node, op in self._ops.items() if op is not None and op.name not in running}
        self._plain = [node for node in self._plain if node not in dead]
        left = {loop: [node for node in nodes if node not in dead] for loop, nodes in self._loops.items()}
        self._loops = {loop: nodes for loop, nodes in left.items() if nodes}

    def position(self, key: Key, total: int) -> int:
        """The index of a draw on a tape of `total` draws. Raises TapeMismatch where it cannot be known."""
        index = sum(1 for node in self._plain if node < key[0])
        for loop, nodes in self._loops.items():
            if loop < key[0]:
                index += self._trip_count(loop, total) * len(nodes)
        if len(key) == 1:
            return index
        nodes = self._loops[key[0]]
        return index + key[1] * len(nodes) + nodes.index(key[2])

    def _trip_count(self, loop: int, total: int) -> int:
        order = sorted(self._loops).index(loop)
        if order < len(self.trips):
            return self.trips[order]
        if len(self._loops) > 1:
            raise TapeMismatch("several loops of unknown length draw: their places on the tape are not known")
        return (total - len(self._plain)) // len(self._loops[loop])


@contextlib.contextmanager
def _initial_values() -> Iterator[None]:
    """While inside, functions that make the initial values of TensorFlow 2's variables draw outside of the taps."""
    import tensorflow as tf

    if str(tf.__version__).startswith("1."):
        yield
        return

    def creator(following: Callable[..., Any], **kwargs: Any) -> Any:
        initial = kwargs.get("initial_value")
        if callable(initial):

            def quietly(*args: Any, **named: Any) -> Any:
                with untapped():
                    return initial(*args, **named)

            kwargs["initial_value"] = quietly
        return following(**kwargs)

    with tf.variable_creator_scope(creator):
        yield


def _border() -> List[Tuple[Any, str, str, Callable[..., Any]]]:
    """Where every random op is looked up, (holder, attribute, op, function), in whichever modules this TensorFlow has."""
    found: List[Tuple[Any, str, str, Callable[..., Any]]] = []
    for path in MODULES:
        try:
            module = importlib.import_module(path)
        except ImportError:
            continue
        for name in sorted(vars(module)):
            function = getattr(module, name)
            if not inspect.isfunction(function) or name.endswith("_eager_fallback") or name.startswith("__"):
                continue
            if _is_random(name):
                found.append((module, name, name, function))
            elif name[0].isupper():
                # `tf.raw_ops.RandomUniform`: a wrapper that takes keywords only and holds the op's function in a cell.
                cells = zip(function.__code__.co_freevars, function.__closure__ or ())
                found += [
                    (cell, "cell_contents", cell.cell_contents.__name__, cell.cell_contents)
                    for free, cell in cells
                    if free == "f" and _is_random(cell.cell_contents.__name__)
                ]
    return found


def _is_random(name: str) -> bool:
    """Whether a function of these modules draws."""
    return bool(_RANDOM.search(name)) and name.lstrip("_") not in DERIVING and "dispatcher" not in name


def _hook(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """The function that stands at the border instead of `original`."""
    kind = KINDS.get(name.lstrip("_"))

    def border(*args: Any, **kwargs: Any) -> Any:
        if kind is None:
            raise TapeMismatch("TensorFlow's random op %r is drawn from, and no dropout is known to use it" % name)
        native = original(*args, **kwargs)
        tap = _ACTIVE[-1]
        node = next(_CLOCK)
        if _NAMING:
            _NAMED[node] = _NAMING[-1]
        if _is_eager(native):
            values = native.numpy()
            tap.program.add(node)
            used = tap.exchange(kind, (node,), values)
            return native if used is values else _constant(used, native.dtype)
        return _pass_through(tap, kind, node, native)

    return border


def _is_eager(tensor: Any) -> bool:
    """Whether a tensor has its value already."""
    return type(tensor).__name__ == "EagerTensor"


def _constant(values: np.ndarray, dtype: Any) -> Any:
    from tensorflow.python.framework import ops

    return ops.convert_to_tensor(values, dtype=dtype)


def _pass_through(tap: TensorFlowTap, kind: str, node: int, native: Any) -> Any:
    """Put a host function behind a graph's random op, which gives the active tap the value and its step."""
    from tensorflow.python.framework import ops
    from tensorflow.python.ops import script_ops

    loop, counter = _enclosing_loop(ops.get_default_graph())

    def run(values: np.ndarray, step: Any = None) -> np.ndarray:
        if not _ACTIVE:
            return values
        if loop is None:
            key: Key = (node,)
        else:
            key = (loop, _ACTIVE[-1].visit(node) if step is None else int(step), node)
        return _ACTIVE[-1].exchange(kind, key, np.asarray(values))

    call = getattr(script_ops, "numpy_function", None) or script_ops.py_func
    used = call(run, [native] if counter is None else [native, counter], native.dtype)
    used.set_shape(native.get_shape())
    tap.program.add(node, loop, used.op)
    return used


def _enclosing_loop(graph: Any) -> Tuple[Optional[int], Any]:
    """Return (number, step tensor) of the loop around the place that is being traced, or Nones.

    A loop of TensorFlow 2 is a FuncGraph whose first input counts the steps (`while_v2`); a loop of TensorFlow 1 is a
    context that counts nothing.
    """
    inner = graph
    while inner is not None:
        if type(inner).__name__ == "WhileBodyFuncGraph":
            return _number(inner), inner.inputs[0]
        inner = getattr(inner, "outer_graph", None)
    context = graph._get_control_flow_context() if hasattr(graph, "_get_control_flow_context") else None
    while context is not None:
        if type(context).__name__ == "WhileContext":
            return _number(context), None
        context = context.outer_context
    return None, None


def _number(loop: Any) -> int:
    """The loop's place in program order: when its first random op was met."""
    number = getattr(loop, "_parity_number", None)
    if number is None:
        number = next(_CLOCK)
        loop._parity_number = number
    return int(number)
