"""A user's own code as an implementation: `target: "my_port.py:run"`.

`run(case)` gets a `Case` and returns a dict of outputs, canonical: {"y": …, "h": …, "c": …}, as the framework's tensors or
NumPy arrays. Its draws pass the framework's tap, so it is recorded, and driven by a tape, as a native layer is. Which draws are
which site's is found by their shapes (`layouts`); a port that wants to say it itself draws inside `with case.site("output"):`.

Gradients are taken through the call. A port may give them itself, under the key "gradients", by name of input or weight.

Each framework's part is one file, `<framework>/ports.py`. The user's file is imported here, in a worker, and nowhere else.
"""

import contextlib
import importlib
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple, Type

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome, Result, Tap, Unsupported, native_tape
from harness.frameworks.contract.layouts import Label, readings
from harness.frameworks.contract.own_files import TargetError, load, own_lines, said
from harness.frameworks.contract.shapes import WrongShape, compare_shapes
from harness.frameworks.contract.surplus import one_a_gate, unused
from harness.tape import KEEP_RULES, Draw, Slot, TapeMismatch, assign

Arrays = Dict[str, Any]


class Case:
    """What a target is given.

    inputs   tensors by name: "x", and "h0", "c0", "z" where the case has them; batch-major.
    weights  canonical tensors: "kernel" (I, 4H), "recurrent_kernel" (H, 4H), "bias" (4H,), gates i, f, g, o; a stack's under
             "layer0.kernel" …
    config   the layer's settings as the case gives them.   dropout  the list of sites: at, rate, shared, noise, scale.
    mode     "train" or "eval"; `training` is the same as a bool.   seed  seed your framework with it, or make a key of it.
    options  what the case file gives under `options`.   dtype  the name of the dtype.
    asked    the canonical shapes of the outputs that are compared, by name.
    reset    whether a layer that keeps its states is to start from zero again in this call.
    """

    def __init__(self, job: Job, inputs: Arrays, weights: Arrays, tap: Tap, **extra: Any) -> None:
        self.inputs = inputs
        self.weights = weights
        self.config = dict(job.config)
        self.dropout = [
            {"at": site.at, "rate": site.rate, "shared": list(site.shared), "noise": site.noise, "scale": site.scale}
            for site in job.sites
        ]
        self.mode = job.mode
        self.training = job.train
        self.options = dict(job.options)
        self.dtype = job.dtype
        self.reset = False
        self.asked = job.outputs
        self.labels: List[Label] = []
        self.kept: Dict[str, Any] = {}
        self.quiet: Callable[[], Any] = _nothing
        self._tap = tap
        self._sites = job.sites
        self._seed = job.seed
        for name, value in extra.items():
            setattr(self, name, value)

    @property
    def seed(self) -> int:
        """The case's seed."""
        return self._seed

    def rate(self, at: str) -> float:
        """The rate of one site; 0.0 where the case has none there, and in evaluation.

        A site of every layer goes by its name in the case file, `weight.recurrent`, or by its own, `layer1.weight.recurrent`.
        """
        return next((site.rate for site in self._sites if at in (site.at, site.listed) and self.training), 0.0)

    def keep(self, make: Callable[[], Any], name: str = "") -> Any:
        """What `make()` gave at the first call: a layer that lives through all calls of `run` after one seeding.

        A layer made anew in every call cannot be seen to keep its mask, or its states, for the next one. What `make` draws is
        no dropout: initializers draw too.
        """
        if name not in self.kept:
            with self.quiet():
                self.kept[name] = make()
        return self.kept[name]

    @contextlib.contextmanager
    def site(self, at: str, axes: Optional[Sequence[str]] = None) -> Iterator[None]:
        """Draws made inside belong to this site; `axes` names the axes of each, in order, where shapes could deceive.

        Raises TapeMismatch for a site that the case does not have.
        """
        if not any(at in (site.at, site.listed) for site in self._sites):
            known = ", ".join(site.at for site in self._sites) or "none"
            raise TapeMismatch("case.site(%r): the case has no such site; it has: %s" % (at, known))
        with self._named(at, None if axes is None else tuple(axes)):
            yield

    @contextlib.contextmanager
    def _named(self, at: str, axes: Optional[Tuple[str, ...]]) -> Iterator[None]:
        """Give what is drawn inside the name of its site. A framework whose draws are made later has its own way."""
        start = len(self._tap.draws)
        yield
        self.labels.append(Label(at, start, len(self._tap.draws), axes))


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def checked(returned: Any) -> Tuple[Arrays, Arrays]:
    """Outputs and the gradients that a port gives itself. Raises TargetError where it returned something else."""
    if not isinstance(returned, dict) or not returned or not all(isinstance(name, str) for name in returned):
        what = type(returned).__name__
        if isinstance(returned, dict):
            odd = [name for name in returned if not isinstance(name, str)]
            what = "a dict with the key %r: keys are text" % (odd[0],) if odd else "an empty dict"
        raise TargetError("must return a dict of outputs such as {'y': …}, not %s" % what)
    outputs = {name: value for name, value in returned.items() if name != "gradients"}
    gradients = returned.get("gradients", {})
    if not outputs or not isinstance(gradients, dict):
        raise TargetError("must return outputs by name, and 'gradients', where given, as a dict by name")
    return outputs, gradients


class Target(Adapter):
    """Base of the frameworks' parts: run once to see what is drawn, and once more with a tape where there is one."""

    recalls = True
    #: whether draws that nothing depends on are made at all.
    surplus = True

    def __init__(self, target: str) -> None:
        self.target = target
        self.file = target.rpartition(":")[0]
        self.cases: List[Case] = []
        self.starts: List[int] = []
        self.kept: Dict[str, Any] = {}
        self.border: Tap = Tap()
        #: the draws found to be of no use, by what they were drawn for.
        self.measured: Dict[str, FrozenSet[int]] = {}

    def check(self, job: Job) -> None:
        """Anything is allowed: what the port cannot express, its numbers tell."""

    def invoke(self, case: Case) -> Tuple[Arrays, Arrays]:
        """Call the user's function. Raises TargetError with its own lines, and TapeMismatch for draws that cannot be."""
        function = load(self.target)
        case.kept, case.quiet = self.kept, self.quiet
        self.cases.append(case)
        self.starts.append(self.drawn())
        try:
            returned = function(case)
        except (TargetError, TapeMismatch, WrongShape):
            raise
        except (Exception, SystemExit) as error:
            raise TargetError(said(error, self.file), own_lines(error, self.file))
        outputs, gradients = checked(returned)
        compare_shapes(outputs, case.asked)
        return outputs, gradients

    #: a context in which draws are none of the tap's, where the framework's tap has one.
    quiet: Callable[[], Any] = staticmethod(_nothing)

    def drawn(self) -> int:
        """How many draws have been made so far."""
        return len(self.border.draws)

    def labels(self) -> List[Label]:
        """Which draws the port said to be which site's, after all its calls."""
        return [label for case in self.cases for label in case.labels]

    def attempt(self, job: Job, tap: Tap) -> Outcome:
        """All calls of a job under one tap, after one seeding."""
        self.border = tap
        self.cases, self.starts, self.kept = [], [], {}
        with tap:
            return self.call(job, tap)

    def run(self, job: Job) -> Result:
        """As the base, but the slots are found from what was drawn."""
        tap = self.tap(None)
        outcome = self.attempt(job._replace(tape=None), tap)
        parts = split(tap.draws, self.starts, self.labels())
        ways = [self.matched(job, draws, labels) for draws, labels in parts]
        # Calls that draw alike are read alike; the first reading is the simplest one.
        chosen = [[mine[min(number, len(mine) - 1)] for mine in ways] for number in range(max(map(len, ways)))]
        if job.tape is None:
            first, *others = [self.result(job, outcome, parts, slots) for slots in chosen]
            return first._replace(others=tuple(other._replace(outputs={}, gradients={}) for other in others))
        results: List[Result] = []
        refused: Optional[Unsupported] = None
        for slots in chosen:
            try:
                results += self.on_tape(job, parts, slots)
            except Unsupported as error:
                refused = refused or error
        if not results and refused is not None:
            raise refused
        return results[0]._replace(others=tuple(results[1:]))

    def on_tape(
        self, job: Job, parts: Sequence[Tuple[List[Draw], List[Label]]], slots: Sequence[Sequence[Slot]]
    ) -> List[Result]:
        """The run on the job's tape, by one reading of what is drawn; and of a program that decides the other way round.

        What the program decides from uniforms shows in its numbers alone: the host compares both ways.
        """
        tapes = [native_tape(job, mine) for mine in slots]
        tapes = [undecided(job, tape, draws) for tape, (draws, _) in zip(tapes, parts)]
        result = self.replayed(job, tapes, slots)
        either = {draw.site for tape in tapes for draw in tape if "rate" in draw.params}
        if not either:
            return [result]
        other = self.replayed(job, [flipped(tape) for tape in tapes], slots)
        draws = {key: draw.other_way() if key in either else draw for key, draw in other.draws.items()}
        return [result, other._replace(draws=draws)]

    def matched(self, job: Job, draws: Sequence[Draw], labels: Sequence[Label]) -> List[List[Slot]]:
        """The readings of one call's draws, of which some may be of no use. Raises TapeMismatch where they fit no sites."""
        try:
            found = readings(draws, labels, job.sites)
        except TapeMismatch:
            idle = self.idle(job, draws, set(range(len(draws))))
            if not idle:
                raise
            return readings(draws, labels, job.sites, idle)
        spare: Set[int] = set()
        for group in one_a_gate(found[0], job.sites):
            idle = self.idle(job, draws, group)
            if len(idle) == len(group) - 1:
                spare |= idle
        return readings(draws, labels, job.sites, spare) if spare else found

    def idle(self, job: Job, draws: Sequence[Draw], suspects: Set[int]) -> FrozenSet[int]:
        """Which of the suspects nothing depends on, measured once for all calls that draw alike."""
        if not self.surplus:
            return frozenset()
        alike = tuple((draw.kind, draw.values.shape) for draw in draws)
        known = repr((job.config, job.options, job.sites, job.dtype, alike, sorted(suspects)))
        if known not in self.measured:
            one = job._replace(calls=1, reset=False, tape=None)

            def run(tape: List[Draw]) -> Dict[str, np.ndarray]:
                found = self.attempt(one, self.driven(tape))
                return dict(found.outputs, **{"gradient." + name: array for name, array in found.gradients.items()})

            try:
                self.measured[known] = unused(draws, suspects, run)
            except (TapeMismatch, TargetError):
                # What draws otherwise on a tape, or fails there, is told by the run that is asked for.
                self.measured[known] = frozenset()
        return self.measured[known]

    def driven(self, draws: Sequence[Draw]) -> Tap:
        """A tap that gives these native draws."""
        tap = self.tap(draws)
        if getattr(tap, "rule", None) == "":
            # The framework itself decides nothing from uniforms; the program does, one way or the other.
            tap.rule = KEEP_RULES[0]  # type: ignore[attr-defined]
        return tap

    def replayed(self, job: Job, tapes: Sequence[Sequence[Draw]], slots: Sequence[Sequence[Slot]]) -> Result:
        """One run on the native draws of each call."""
        tap = self.driven([draw for tape in tapes for draw in tape])
        outcome = self.attempt(job, tap)
        return self.result(job, outcome, split(tap.draws, self.starts, []), slots)

    def result(
        self,
        job: Job,
        outcome: Outcome,
        parts: Sequence[Tuple[List[Draw], List[Label]]],
        slots: Sequence[Sequence[Slot]],
    ) -> Result:
        """The outcome with the draws of the last call that made any, by site."""
        named = [assign(draws, mine) for (draws, _), mine in zip(parts, slots)]
        again = len(named) > 1 and job.tape is None and not self.kept and anew(named[-2:])
        # A layer that keeps its mask for later calls draws in the first one alone.
        last = max((number for number, draws in enumerate(named) if draws), default=len(named) - 1)
        order = tuple((slot.site, tuple(slot.shape)) for slot in slots[last])
        return Result(outcome.outputs, outcome.gradients, named[last], order, again)


def undecided(job: Job, tape: Sequence[Draw], drawn: Sequence[Draw]) -> List[Draw]:
    """The tape with the site's rate beside every draw of which the program alone knows what is kept."""
    marked = []
    for mine, native in zip(tape, drawn):
        site = job.site(mine.site)
        if site is not None and native.may_drop(site.rate):
            mine = mine._replace(params={"rate": site.rate})
        marked.append(mine)
    return marked


def flipped(tape: Sequence[Draw]) -> List[Draw]:
    """The tape of a program that decides the other way round: the complement, of the complement's rate."""
    return [
        mine._replace(values=~np.asarray(mine.values, dtype=bool), params={"rate": 1.0 - mine.params["rate"]})
        if "rate" in mine.params
        else mine
        for mine in tape
    ]


def split(
    draws: Sequence[Draw], starts: Sequence[int], labels: Sequence[Label]
) -> List[Tuple[List[Draw], List[Label]]]:
    """The draws of each call, from where it started, and its labels counted from its own first draw."""
    found = []
    for start, end in zip(starts, [*starts[1:], len(draws)]):
        mine = [label for label in labels if start <= label.start < label.stop <= end]
        moved = [label._replace(start=label.start - start, stop=label.stop - start) for label in mine]
        found.append((list(draws[start:end]), moved))
    return found


def anew(calls: Sequence[Dict[str, Draw]]) -> bool:
    """Whether two calls drew, and drew the same bits: each was seeded."""
    first, second = calls
    return bool(second) and all(
        name in first and first[name].values.tobytes() == draw.values.tobytes() for name, draw in second.items()
    )


_FRAMEWORKS: Dict[str, Type[Target]] = {}


def framework(name: str) -> Callable[[Type[Target]], Type[Target]]:
    """Register a framework's part; two for one framework are an error."""

    def decorate(cls: Type[Target]) -> Type[Target]:
        known = _FRAMEWORKS.get(name)
        if known is not None and known.__module__ != cls.__module__:
            raise ValueError("targets in %s are registered twice" % name)
        _FRAMEWORKS[name] = cls
        return cls

    return decorate


def target_adapter(name: str, target: str) -> Target:
    """The adapter of a user's function in one framework."""
    importlib.import_module("harness.frameworks.%s.ports" % name)
    return _FRAMEWORKS[name](target)


def require_compared(job: Job, outputs: Arrays) -> None:
    """Raise TargetError where an output that has a cotangent is missing."""
    missing = sorted(set(job.cotangents) - set(outputs))
    if missing:
        raise TargetError("returned no %s; the case compares: %s" % (", ".join(missing), ", ".join(job.cotangents)))


def arrays_of(found: Arrays, like: np.dtype) -> Dict[str, np.ndarray]:
    """Results as arrays; a Python number or list is taken in the case's dtype."""
    return {
        name: np.asarray(value) if isinstance(value, np.ndarray) else np.asarray(value, dtype=like)
        for name, value in found.items()
    }
