"""What an adapter is, and how one is found.

An adapter drives one concrete layer of one framework: it turns canonical arrays into that framework's layout, calls the
layer under a tap, and turns what comes back into canonical arrays. The public method `run` checks and translates;
subclasses write `prepare`, `slots` and `call` (the template method of Polygraphy's runners).

Import policy: this package is imported by the host (to list implementations) and by workers as old as Python 3.6, so its
modules import NumPy alone; a framework is imported inside functions, in a worker, only when it is used.
"""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, Union

import numpy as np

from harness.frameworks.contract.capabilities import PLAIN_SETTINGS as PLAIN_SETTINGS
from harness.frameworks.contract.capabilities import Capabilities
from harness.frameworks.contract.declaring import validate
from harness.frameworks.contract.geometry import Form, Geometry, stacks_of
from harness.noises import Site
from harness.registry import Registry, required
from harness.tape import BERNOULLI, NORMAL, UNUSED, Draw, Slot, TapeMismatch, assign


class Unsupported(Exception):
    """The implementation cannot express what the case asks for. Never a pass: a verdict of its own."""


class Job(NamedTuple):
    """One call to make.

    layer       layer kind, e.g. "lstm".
    backend     the worker's backend, in the words of case files, e.g. "torch".
    config      the kind's settings as plain values.
    options     this implementation's own choices, e.g. {"jit": True}; unknown ones are refused.
    sites       the dropout sites that the case asks for.
    mode        "train" or "eval".
    dtype       float16, bfloat16, float32 or float64: all arrays come in it and all arithmetic is in it.
    inputs, weights   canonical arrays by name.
    cotangents  by output name; empty: no gradients are wanted.
    tape        canonical decisions (bool) and standard normals by site; None: native draws.
    calls       how often the layer is called, after one seeding; the last call's results and draws are returned.
    reset       whether the states that a layer keeps are reset before the last of several calls.
    outputs     the canonical shapes of the outputs that are compared, by name; {} where nobody has said them.
    form        what the kind declares of its recurrence; None of a kind without one.
    """

    layer: str
    backend: str
    config: Dict[str, Any]
    options: Dict[str, Any]
    sites: Tuple[Site, ...]
    mode: str
    seed: int
    dtype: str
    inputs: Dict[str, np.ndarray]
    weights: Dict[str, np.ndarray]
    cotangents: Dict[str, np.ndarray]
    tape: Optional[Dict[str, np.ndarray]]
    calls: int = 1
    reset: bool = False
    form: Optional[Form] = None
    outputs: Mapping[str, Tuple[int, ...]] = {}

    @property
    def train(self) -> bool:
        return self.mode == "train"

    @property
    def stacks(self) -> Tuple[Geometry, ...]:
        """The stacks of recurrent layers, in the order in which they run. Raises ValueError for a kind of none."""
        if self.form is None:
            raise ValueError("%r is no recurrent kind: it declares no gates" % self.layer)
        return stacks_of(self.form, self.config, {name: array.shape for name, array in self.inputs.items()})

    def site(self, at: str) -> Optional[Site]:
        """The site of that name, or None."""
        for site in self.sites:
            if site.at == at:
                return site
        return None

    def acting(self, at: str) -> Optional[Site]:
        """The site of that name if its noise changes anything in this call; else None."""
        site = self.site(at)
        return site if site is not None and self.train and not site.silent else None

    def drawing(self, at: str) -> Optional[Site]:
        """The site of that name if this call's outcome depends on what is drawn there; else None."""
        site = self.site(at)
        return site if site is not None and self.train and site.active else None


class Outcome(NamedTuple):
    """What `Adapter.call` returns: canonical outputs and gradients as NumPy arrays, by name."""

    outputs: Dict[str, np.ndarray]
    gradients: Dict[str, np.ndarray]


class Result(NamedTuple):
    """What `Adapter.run` returns: the outcome, the canonical draws by site, and (site, native shape) of each in order.

    anew   whether the last two of several calls drew the same bits, and kept no layer: each made its own and seeded it.
    others the same as a program of code under test may mean its draws otherwise: which axis is which, and which way it decides
           from uniforms. Without outputs where they are the same.
    """

    outputs: Dict[str, np.ndarray]
    gradients: Dict[str, np.ndarray]
    draws: Dict[str, Draw]
    order: Tuple[Tuple[str, Tuple[int, ...]], ...] = ()
    anew: bool = False
    others: Tuple[Any, ...] = ()


class Tap:
    """A context manager at one framework's random border.

    Records every draw (`draws`, in the framework's layout, in order). With `replay` (native-layout draws, in order) the
    framework gets those values instead: bernoulli ones are decisions, normal ones are standard normals.
    A run that asks for more draws, or for another kind or shape, raises TapeMismatch.
    """

    def __init__(self, replay: Optional[Sequence[Draw]] = None) -> None:
        self.replay = None if replay is None else list(replay)
        self.draws: List[Draw] = []

    def next_replay(self, kind: str, shape: Sequence[int]) -> Draw:
        """Take the next draw of the tape for a border call that wants `kind` values of `shape`."""
        assert self.replay is not None
        draw = draw_of(self.replay, 0, kind, shape)
        del self.replay[0]
        return draw

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_exc: Any) -> Optional[bool]:
        return None


def draw_of(tape: Sequence[Draw], index: int, kind: str, shape: Sequence[int]) -> Draw:
    """A draw of a tape, where `kind` values of `shape` are wanted. Raises TapeMismatch where it has none or another there."""
    if not 0 <= index < len(tape):
        raise TapeMismatch("the tape has ended, but %s%s is drawn" % (kind, tuple(shape)))
    draw = tape[index]
    if draw.kind != kind or tuple(draw.values.shape) != tuple(shape):
        raise TapeMismatch(
            "drew %s%s where the tape has %s%s" % (kind, tuple(shape), draw.kind, tuple(draw.values.shape))
        )
    return draw


class Adapter(Capabilities):
    """One implementation. Subclasses declare what they can do (harness.frameworks.contract.capabilities) and write `slots` and
    `call`; instances may cache compiled functions.
    """

    def check(self, job: Job) -> None:
        """Raise Unsupported for what this implementation cannot express.

        Subclasses call super first, and add what cannot be declared: what depends on two of a job's words, or on values.
        """
        x = job.inputs.get("x")
        why = self.refusal(
            job.options,
            job.config,
            job.sites,
            job.dtype,
            None if x is None else x.ndim,
            bool(job.cotangents),
            job.tape is not None,
        )
        if why is not None:
            raise Unsupported(why)

    def option(self, job: Job, name: str) -> Any:
        """The job's value of one of this implementation's options."""
        return job.options.get(name, self.options[name])

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        """The tap for this implementation's border."""
        raise NotImplementedError

    def slots(self, job: Job) -> List[Slot]:
        """The draws that a call of this job makes, in order."""
        raise NotImplementedError

    def call(self, job: Job, tap: Any) -> Outcome:
        """Seed, build the layer, run it and, where the job has cotangents, its gradients. `tap` is entered already."""
        raise NotImplementedError

    def run(self, job: Job) -> Result:
        """Check, run under the tap, name the draws. Raises Unsupported or TapeMismatch."""
        self.check(job)
        if job.calls > 1 and not (self.recalls or job.config.get("stateful")):
            raise Unsupported("is not called twice after one seeding")
        slots = self.slots(job)
        tap = self.tap(None if job.tape is None else native_tape(job, slots) * job.calls)
        with tap:
            outcome = self.call(job, tap)
        if tap.replay:
            raise TapeMismatch("%d of the tape's draws were never taken" % len(tap.replay))
        draws = tap.draws
        if job.calls > 1 and len(draws) == job.calls * len(slots):
            # A layer that keeps its mask for later calls draws once; one that does not, once a call.
            draws = draws[-len(slots) :] if slots else []
        order = tuple((slot.site, tuple(slot.shape)) for slot in slots)
        return Result(outcome.outputs, outcome.gradients, assign(draws, slots), order)

    def native(self, job: Job) -> Dict[str, np.ndarray]:
        """What the framework itself holds and returns, untranslated; {} where there is nothing of its own to tell.

        Its parameter arrays under its own names and in its own layout, in its own order; and, of a call without dropout,
        the final states in the order in which its API returns them, as `state0` and `state1`. From these the host measures
        gate order, orientation, biases and state order (harness.comparison.native). The job is in evaluation mode.
        """
        return {}


def native_tape(job: Job, slots: Sequence[Slot]) -> List[Draw]:
    """Translate a canonical tape to the native draws that this implementation will ask for."""
    draws = []
    assert job.tape is not None
    for slot in slots:
        kind = NORMAL if slot.kind == NORMAL else BERNOULLI
        if slot.site == UNUSED:
            draws.append(Draw(kind, np.zeros(slot.shape, dtype=bool)))
            continue
        if slot.site not in job.tape:
            raise TapeMismatch("the tape has nothing for site %s" % slot.site)
        canonical = job.tape[slot.site]
        try:
            values = slot.to_native(returned(job, slot, canonical))
        except ValueError:
            raise Unsupported(shares_more(job, slot, canonical.shape))
        draws.append(Draw(kind, values, site=slot.site))
    return draws


def returned(job: Job, slot: Slot, canonical: np.ndarray) -> np.ndarray:
    """The tape's mask of a site; of a sequence whose last step alone is returned that step's, for one who draws no other."""
    if job.form is None or job.config.get("return_sequences") or canonical.ndim != len(slot.canonical):
        return canonical
    stack = job.stacks[-1]
    if slot.site != stack.at("output") or slot.canonical[1] != 1 or canonical.shape[1] == 1:
        return canonical
    whole = np.broadcast_to(canonical, tuple(stack.full("output").values()))
    last: np.ndarray = stack.last(whole, lambda parts: np.concatenate(parts, axis=-1))[:, np.newaxis]
    part = last[tuple(slice(None if size > 1 else 1) for size in slot.canonical)]
    # Both directions may share what the tape has for two steps: that is no mask of one step.
    return part if np.array_equal(np.broadcast_to(part, last.shape), last) else canonical


def shares_more(job: Job, slot: Slot, tape: Sequence[int]) -> str:
    """What a draw that is smaller than the tape's has one mask for: "draws one output mask for all of time, …"."""
    axes = next((site.axes for site in job.sites if site.at == slot.site), ())
    words = "over more than the case says"
    if len(axes) == len(slot.canonical) == len(tape):
        one = [axis for axis, mine, want in zip(axes, slot.canonical, tape) if mine == 1 < want]
        words = "over %s, the case says a mask for each" % " and ".join(one) if one else words
    return "draws one %s mask of shape %s, the tape has %s: it shares the mask %s" % (
        slot.site, tuple(slot.canonical), tuple(tape), words)  # fmt: skip


class Implementation(NamedTuple):
    """A registered implementation: where it runs, what it implements, what must be installed.

    recipe  true where no native layer exists and the loop people write stands for it.
    needs   packages, found without importing them; one may have a bound, `tensorflow<2`, where an API is a version's own.
    """

    backend: str
    name: str
    layer: str
    adapter: Type[Adapter]
    needs: Tuple[str, ...]
    recipe: bool


_REGISTRY: Registry[Implementation] = Registry(
    "the implementation", "harness.frameworks", group="harness.frameworks", deep=True
)


def implementation(
    name: str,
    backends: Sequence[str],
    layer: Union[str, Sequence[str]],
    needs: Sequence[str] = (),
    recipe: bool = False,
) -> Callable[[Type[Adapter]], Type[Adapter]]:
    """Register a class as the adapter of `name` (an import name) for a layer kind or several, on each of `backends`.

    Raises ValueError for a name that is taken, for a class that lacks a method of an adapter, and for one that declares a site,
    a setting, a noise or a scale that there is not.
    """

    def decorate(cls: Type[Adapter]) -> Type[Adapter]:
        if cls.run is Adapter.run:
            required(cls, Adapter, ("tap", "slots", "call"), name)
        kinds = (layer,) if isinstance(layer, str) else layer
        for kind in kinds:
            validate(cls, kind)
        for kind in kinds:
            for backend in backends:
                record = Implementation(backend, name, kind, cls, tuple(needs), recipe)
                _REGISTRY.add((backend, kind, name), record, cls, "%s for %s on %s" % (name, kind, backend))
        return cls

    return decorate


def implementations() -> Dict[Tuple[str, str, str], Implementation]:
    """Every implementation by (backend, layer, name); imports every framework's modules once, but no framework."""
    return _REGISTRY.all()
