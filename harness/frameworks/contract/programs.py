"""A user's whole program or model under observation: what it draws, computes and returns, with no known layer in it.

A framework's part is `<framework>/observing.py` with a function `observe(target, request) -> Trace`. `target` is an object (a
model, a function) or the text `file.py:name`. It is called in a worker, or in the caller's process where the object lives there.

`pack` and `unpack` turn a trace into a message of the worker's protocol and back. Imported by workers: Python 3.6, NumPy alone.
"""

import importlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

Arrays = Dict[str, np.ndarray]

#: A draw that decides (true or false), with the probability of true.
DECISION = "decision"
#: Numbers in [0, 1) of which no decision could be seen.
UNIFORM = "uniform"
#: Standard normal numbers.
NORMAL = "normal"

#: How a uniform on the left of a comparison decides, and the same comparison with it on the right.
BELOW, ABOVE = "u <", "u >="
OTHER_SIDE = {BELOW: ABOVE, ABOVE: BELOW}

#: How many order statistics of an operation's result are kept; smaller results are kept whole, sorted.
KEPT = 64
#: Length of a fingerprint: order statistics, mean, mean of absolute values, root mean square.
PRINT = KEPT + 3


class Drawn(NamedTuple):
    """One draw of a program.

    kind    DECISION, UNIFORM, NORMAL, or the name of a random operation that is known by its values alone.
    values  bool for decisions; standard normals; else as drawn.
    p       the probability that a decision is true; NaN where it is no single number.
    rule    how a decision was made of a uniform: "" (the framework decided), "u <", "u >=", "floor(p + u)".
    scope   path of the module inside which it was drawn, e.g. "encoder.layers.0.dropout".
    place   file:line of the user's code.      source  that line.
    dtype   the native draw's.                 before  how many operations had been done.
    idle    whether no output rests on it: a mask that is drawn and not used (Keras 3's LSTM draws its masks in evaluation too).
    """

    kind: str
    values: np.ndarray
    p: float = float("nan")
    rule: str = ""
    scope: str = ""
    place: str = ""
    source: str = ""
    dtype: str = ""
    before: int = 0
    idle: bool = False

    @property
    def shape(self) -> Tuple[int, ...]:
        """The shape as the program drew it."""
        return tuple(self.values.shape)


class Step(NamedTuple):
    """One operation of a program: what it is, the result's shape, the operations whose results it took, where it stands, and the
    numbers and words that it was called with, by name.
    """

    op: str
    shape: Tuple[int, ...]
    inputs: Tuple[int, ...]
    scope: str = ""
    place: str = ""
    source: str = ""
    dtype: str = ""
    settings: Dict[str, Any] = {}


class Request(NamedTuple):
    """One observed call.

    inputs   by name.     mode  "train" or "eval".   seed  of the framework's generator.
    tape     draws to give, in the program's own order and layout; None: it draws for itself.
    noise    how many runs with rounding-sized noise to carry along beside the float64 one; 0: neither is run.
    values   whether to fingerprint every operation's result.
    weights  parameters to put into the program's model, by name; None: it keeps its own.
    gradients  whether gradients of a weighted sum of all outputs are taken.
    outputs  the names of the first program's outputs, in its order, where another is compared with it (`weighed`).
    """

    inputs: Arrays
    mode: str = "train"
    seed: int = 0
    tape: Optional[Sequence[Drawn]] = None
    noise: int = 0
    values: bool = False
    weights: Optional[Arrays] = None
    gradients: bool = False
    outputs: Sequence[str] = ()


class Trace(NamedTuple):
    """What one call did.

    outputs       by flattened name.                      clean        the same in float64, where it was run.
    sensitivity   largest deviation of the noisy runs from `clean`, by output or "gradient/…" name.
    gradients     by "input/…" and "weight/…".            clean_gradients
    prints        (operations, PRINT): fingerprints of the results as computed.
    clean_prints  the same of the float64 run; empty where there is none.
    spread        for every operation the largest deviation of a noisy run's fingerprint from the clean one.
    parameters, state   the model's, by name: before the call; buffers after it (`clean_state`: in float64).
    notes         what the reader must know: generators outside the framework, operations without float64 …
    """

    draws: List[Drawn]
    steps: List[Step]
    outputs: Arrays
    clean: Arrays
    sensitivity: Dict[str, float]
    gradients: Arrays
    clean_gradients: Arrays
    prints: np.ndarray
    clean_prints: np.ndarray
    spread: np.ndarray
    output_steps: Dict[str, int]
    parameters: Arrays
    state: Arrays
    notes: List[str]
    clean_state: Arrays = {}


class ProgramError(Exception):
    """The program cannot be built or called, or returns nothing that can be compared; `detail` has the user's own lines."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def observe(backend: str, target: Any, request: Request) -> Trace:
    """Call a program under observation. Raises ProgramError, ImportError where the framework is not installed."""
    try:
        module = importlib.import_module("harness.frameworks.%s.observing" % backend)
    except ImportError:
        raise ProgramError("programs in %s cannot be observed" % backend)
    trace: Trace = module.observe(target, request)
    return trace


def compared(rule: str, at: int, offset: float, other: float) -> Tuple[str, float]:
    """The rule by which u + offset decides against a number, and the probability of true.

    rule  how it would decide on the left. at  on which side it stands: 0 left, 1 right.
    """
    rule = rule if at == 0 else OTHER_SIDE[rule]
    p = other - offset if rule == BELOW else 1.0 - (other - offset)
    return rule, min(max(p, 0.0), 1.0)


def fingerprint(values: np.ndarray) -> np.ndarray:
    """PRINT numbers that no permutation of an array's elements changes.

    Each moves by at most d where every element moves by at most d, so two results within a limit have fingerprints within it.
    """
    flat = np.sort(np.asarray(values, dtype=np.float64).ravel())
    return summary(flat[positions(flat.size)], flat)


def positions(size: int) -> np.ndarray:
    """Which of `size` sorted numbers are kept, evenly from the first to the last."""
    return np.arange(size) if size <= KEPT else np.linspace(0, size - 1, KEPT).round().astype(np.int64)


def summary(kept: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """A fingerprint of the order statistics and all elements (in any order)."""
    found = np.zeros(PRINT)
    found[: kept.size] = kept
    if flat.size:
        found[KEPT:] = flat.mean(), np.abs(flat).mean(), np.sqrt(np.square(flat).mean())
    return found


def flattened(returned: Any, is_array: Any, prefix: str = "") -> Dict[str, Any]:
    """Nested dicts, tuples, lists and dataclasses as one dict with dotted names; None is left out.

    Raises ProgramError, naming the place, for what is neither an array nor a number.
    """
    if is_array(returned) or isinstance(returned, (bool, int, float, complex, np.generic)):
        return {prefix or "output": returned}
    if returned is None:
        return {}
    pairs: Optional[List[Tuple[str, Any]]] = None
    if hasattr(returned, "items"):
        pairs = [(str(name), value) for name, value in returned.items()]
    elif hasattr(returned, "_fields"):
        pairs = [(name, getattr(returned, name)) for name in returned._fields]
    elif isinstance(returned, (tuple, list)):
        pairs = [(str(number), value) for number, value in enumerate(returned)]
    elif hasattr(returned, "__dataclass_fields__"):
        pairs = [(name, getattr(returned, name)) for name in returned.__dataclass_fields__]
    elif hasattr(returned, "__dict__") and returned.__dict__ and not callable(returned):
        pairs = [(name, value) for name, value in vars(returned).items() if not name.startswith("_")]
    if pairs is None:
        if isinstance(returned, str):
            return {}
        where = "the output %r" % prefix if prefix else "the program"
        raise ProgramError("%s is %s: no array, number, dict, tuple or dataclass" % (where, type(returned).__name__))
    found: Dict[str, Any] = {}
    for name, value in pairs:
        found.update(flattened(value, is_array, "%s.%s" % (prefix, name) if prefix else name))
    return found


def weighed(names: Sequence[str], believed: Sequence[str]) -> Dict[str, int]:
    """The outputs that the sum of the gradients takes, and the number of each one's weights (`cotangent`).

    Outputs with the names of the first program's have the numbers that they have there, in whatever order they are returned;
    what is returned beside them weighs nothing. Outputs of other names have the numbers of their places.
    """
    if believed and set(believed) <= set(names):
        return {name: number for number, name in enumerate(believed)}
    return {name: number for number, name in enumerate(names)}


def with_idle(draws: Sequence[Drawn], rests: int) -> List[Drawn]:
    """Draws with those marked on which no output rests; `rests` has a bit for each that some output does rest on."""
    return [draw if rests >> number & 1 else draw._replace(idle=True) for number, draw in enumerate(draws)]


def deviation(noisy: Sequence[np.ndarray], clean: np.ndarray) -> float:
    """The largest deviation of noisy runs from the clean one, of the elements that are finite in both."""
    with np.errstate(invalid="ignore"):
        gaps = [np.abs(run - clean) for run in noisy]
    return max((float(np.max(gap, initial=0.0, where=np.isfinite(gap))) for gap in gaps), default=0.0)


def cotangent(shape: Sequence[int], number: int) -> np.ndarray:
    """What an output's elements weigh in the sum whose gradient is taken; the same for every program that returns it."""
    return np.random.RandomState(1000 + number).standard_normal(tuple(shape))


def _without_values(draw: Drawn) -> List[Any]:
    """A draw's fields as JSON takes them; its values travel as an array."""
    return [None if name == "values" else getattr(draw, name) for name in draw._fields]


_NAMED = ("outputs", "clean", "gradients", "clean_gradients", "parameters", "state", "clean_state")
_PLAIN = ("prints", "clean_prints", "spread")


def pack(trace: Trace) -> Tuple[Dict[str, Any], Arrays]:
    """A trace as a header and arrays."""
    arrays: Arrays = {"draws/%d" % number: draw.values for number, draw in enumerate(trace.draws)}
    for part in _NAMED:
        arrays.update(("%s/%s" % (part, name), array) for name, array in getattr(trace, part).items())
    arrays.update((part, getattr(trace, part)) for part in _PLAIN)
    header = {
        "draws": [_without_values(draw) for draw in trace.draws],
        "steps": [list(step) for step in trace.steps],
        "sensitivity": trace.sensitivity,
        "output_steps": trace.output_steps,
        "notes": trace.notes,
        "names": {part: list(getattr(trace, part)) for part in _NAMED},
    }
    return header, arrays


def unpack(header: Dict[str, Any], arrays: Arrays) -> Trace:
    """The trace of a message; its arrays are copies, since a message's may lie in a mapping that is used again."""
    parts: Dict[str, Any] = {}
    for part in _NAMED:
        parts[part] = {name: np.array(arrays["%s/%s" % (part, name)]) for name in header["names"][part]}
    for part in _PLAIN:
        parts[part] = np.array(arrays[part])
    draws = [Drawn(*item)._replace(values=np.array(arrays["draws/%d" % n])) for n, item in enumerate(header["draws"])]
    steps = [Step(item[0], tuple(item[1]), tuple(item[2]), *item[3:]) for item in header["steps"]]
    return Trace(
        draws=draws,
        steps=steps,
        sensitivity=header["sensitivity"],
        output_steps=header["output_steps"],
        notes=header["notes"],
        **parts,
    )


_SETTINGS = ("mode", "seed", "noise", "values", "gradients")


def ask(request: Request, target: str) -> Tuple[Dict[str, Any], Arrays]:
    """A request as a message to a worker."""
    arrays: Arrays = {"inputs/" + name: array for name, array in request.inputs.items()}
    arrays.update(("weights/" + name, array) for name, array in (request.weights or {}).items())
    tape = None
    if request.tape is not None:
        arrays.update(("tape/%d" % number, draw.values) for number, draw in enumerate(request.tape))
        tape = [_without_values(draw) for draw in request.tape]
    header = {
        "op": "program",
        "target": target,
        "tape": tape,
        "inputs": list(request.inputs),
        "weights": None if request.weights is None else list(request.weights),
    }
    header.update((name, getattr(request, name)) for name in _SETTINGS)
    header["outputs"] = list(request.outputs)
    return header, arrays


def answer(backend: str, header: Dict[str, Any], arrays: Arrays) -> Tuple[Dict[str, Any], Arrays]:
    """What a worker answers to `ask`'s message; a program that cannot be observed is an answer too."""
    tape = None
    if header["tape"] is not None:
        tape = [Drawn(*item)._replace(values=arrays["tape/%d" % n]) for n, item in enumerate(header["tape"])]
    weights = None
    if header["weights"] is not None:
        weights = {name: np.array(arrays["weights/" + name]) for name in header["weights"]}
    request = Request(
        inputs={name: np.array(arrays["inputs/" + name]) for name in header["inputs"]},
        tape=tape,
        weights=weights,
        outputs=header["outputs"],
        **{name: header[name] for name in _SETTINGS},
    )
    try:
        return pack(observe(backend, header["target"], request))
    except ProgramError as error:
        return {"error": str(error), "detail": error.detail}, {}
