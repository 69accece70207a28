"""What an adapter is, and how one is found.

An adapter drives one concrete layer of one framework: it turns canonical arrays into that framework's layout, calls the
layer under a tap, and turns what comes back into canonical arrays. The public method `run` checks and translates;
subclasses write `prepare`, `slots` and `call` (the template method of Polygraphy's runners).

Import policy: this package is imported by the host (to list implementations) and by workers as old as Python 3.6, so its
modules import NumPy alone; a framework is imported inside functions, in a worker, only when it is used.
"""

import importlib
import pkgutil
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from harness.adapters._options import wanted
from harness.tape import BERNOULLI, NORMAL, UNUSED, Draw, Slot, TapeMismatch, assign


class Unsupported(Exception):
    """The implementation cannot express what the case asks for. Never a pass: a verdict of its own."""


class SiteSpec(NamedTuple):
    """A dropout site as a worker sees it; fields as in harness.records.Site."""

    at: str
    rate: float
    noise: str
    shared: Tuple[str, ...]
    scale: str
    axes: Tuple[str, ...]
    shape: Tuple[int, ...]
    stddev: float
    full: Tuple[int, ...] = ()


class Job(NamedTuple):
    """One call to make.

    layer       layer kind, e.g. "lstm".
    backend     the worker's backend: `numpy`, `tensorflow`, `torch` or `jax`.
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
    """

    layer: str
    backend: str
    config: Dict[str, Any]
    options: Dict[str, Any]
    sites: Tuple[SiteSpec, ...]
    mode: str
    seed: int
    dtype: str
    inputs: Dict[str, np.ndarray]
    weights: Dict[str, np.ndarray]
    cotangents: Dict[str, np.ndarray]
    tape: Optional[Dict[str, np.ndarray]]
    calls: int = 1
    reset: bool = False

    @property
    def train(self) -> bool:
        return self.mode == "train"

    def site(self, at: str) -> Optional[SiteSpec]:
        """The site of that name, or None."""
        for site in self.sites:
            if site.at == at:
                return site
        return None


class Outcome(NamedTuple):
    """What `Adapter.call` returns: canonical outputs and gradients as NumPy arrays, by name."""

    outputs: Dict[str, np.ndarray]
    gradients: Dict[str, np.ndarray]


class Result(NamedTuple):
    """What `Adapter.run` returns: the outcome, the canonical draws by site, and (site, native shape) of each in order."""

    outputs: Dict[str, np.ndarray]
    gradients: Dict[str, np.ndarray]
    draws: Dict[str, Draw]
    order: Tuple[Tuple[str, Tuple[int, ...]], ...] = ()


class Tap(object):
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
        if not self.replay:
            raise TapeMismatch("the tape has ended, but %s%s is drawn" % (kind, tuple(shape)))
        draw = self.replay.pop(0)
        if draw.kind != kind or tuple(draw.values.shape) != tuple(shape):
            raise TapeMismatch(
                "drew %s%s where the tape has %s%s" % (kind, tuple(shape), draw.kind, tuple(draw.values.shape))
            )
        return draw

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_exc: Any) -> Optional[bool]:
        return None


#: Settings that need no word of an adapter, because every implementation of a kind that has them knows them.
PLAIN_SETTINGS = ("units", "layers", "return_sequences", "return_state", "tied", "rate", "shared", "stddev")


class Adapter(object):
    """One implementation. Subclasses write `check`, `slots` and `call`; instances may cache compiled functions."""

    #: names of `options` that it understands, with their defaults.
    options: Dict[str, Any] = {}
    #: what those options mean, where harness.adapters._options does not say it.
    about_options: Dict[str, str] = {}
    #: the values that options of its own may have, where their defaults' types do not tell.
    choices: Dict[str, Tuple[Any, ...]] = {}
    #: dropout sites that it can express.
    sites: Tuple[str, ...] = ()
    #: kinds of noise that it can express.
    noises: Tuple[str, ...] = ("bernoulli",)
    #: the kind's settings that it understands; any other that is set (not False, None or zero) is refused.
    settings: Tuple[str, ...] = PLAIN_SETTINGS
    #: whether it can be called again without a new seed (Job.calls): where the caller hands in a key it cannot. A layer that
    #: has the setting `stateful` always can.
    recalls: bool = False

    def check(self, job: Job) -> None:
        """Raise Unsupported for what this implementation cannot express (subclasses call super first)."""
        for name, value in sorted(job.options.items()):
            if name not in self.options:
                raise Unsupported("no option %r; it has: %s" % (name, ", ".join(sorted(self.options)) or "none"))
            takes = wanted(name, value, self.options[name], self.choices.get(name))
            if takes is not None:
                raise Unsupported("option %s is %s, not %r" % (name, takes, value))
        for name, value in sorted(job.config.items()):
            if value and name not in self.settings:
                raise Unsupported("has no setting %s: %s" % (name, value))
        for site in job.sites:
            if site.at not in self.sites:
                raise Unsupported("has no dropout at %r" % site.at)
            if site.noise not in self.noises:
                raise Unsupported("has no %s noise" % site.noise)

    def option(self, job: Job, name: str) -> Any:
        """The job's value of one of this implementation's options."""
        return job.options.get(name, self.options[name])

    def tap(self, replay: Optional[Sequence[Draw]]) -> Tap:
        """The tap for this implementation's border."""
        raise NotImplementedError

    def slots(self, job: Job) -> List[Slot]:
        """The draws that a call of this job makes, in order."""
        raise NotImplementedError

    def call(self, job: Job) -> Outcome:
        """Seed, build the layer, run it and, where the job has cotangents, its gradients. Runs under the tap."""
        raise NotImplementedError

    def run(self, job: Job) -> Result:
        """Check, run under the tap, name the draws. Raises Unsupported or TapeMismatch."""
        self.check(job)
        if job.calls > 1 and not (self.recalls or job.config.get("stateful")):
            raise Unsupported("is not called twice after one seeding")
        slots = self.slots(job)
        tap = self.tap(None if job.tape is None else native_tape(job, slots) * job.calls)
        with tap:
            outcome = self.call(job)
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
            values = slot.to_native(canonical)
        except ValueError:
            raise Unsupported(
                "draws one %s mask of shape %s, the tape has %s: it shares the mask over more than the case says"
                % (slot.site, slot.canonical, canonical.shape)
            )
        draws.append(Draw(kind, values, site=slot.site))
    return draws


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


def _origin(cls: Type[Adapter]) -> Tuple[str, str]:
    """Where a class comes from; a module that is imported anew may register its own classes again."""
    return cls.__module__, cls.__qualname__


_REGISTRY: Dict[Tuple[str, str, str], Implementation] = {}
_LOADED: List[bool] = []


def implementation(
    name: str, backends: Sequence[str], layer: str, needs: Sequence[str] = (), recipe: bool = False
) -> Callable[[Type[Adapter]], Type[Adapter]]:
    """Register a class as the adapter of `name` (an import name) for one layer kind, on each of `backends`."""

    def decorate(cls: Type[Adapter]) -> Type[Adapter]:
        for backend in backends:
            key = (backend, layer, name)
            known = _REGISTRY.get(key)
            if known is not None and _origin(known.adapter) != _origin(cls):
                raise ValueError("%s for %s on %s is registered twice" % (name, layer, backend))
            _REGISTRY[key] = Implementation(backend, name, layer, cls, tuple(needs), recipe)
        return cls

    return decorate


def implementations() -> Dict[Tuple[str, str, str], Implementation]:
    """Every implementation by (backend, layer, name); imports every adapter module once, but no framework."""
    if not _LOADED:
        package = importlib.import_module("harness.adapters")
        for module in sorted(info[1] for info in pkgutil.iter_modules(package.__path__)):
            if module != "base" and not module.startswith("_"):
                importlib.import_module("harness.adapters." + module)
        _LOADED.append(True)
    return _REGISTRY
