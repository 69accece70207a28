"""A user's own code as an implementation: `target: "my_port.py:run"`.

`run(case)` gets a `Case` and returns a dict of outputs, canonical: {"y": …, "h": …, "c": …}, as the framework's tensors or
NumPy arrays. Its draws pass the framework's tap, so it is recorded, and driven by a tape, as a native layer is. Which draws are
which site's is found by their shapes (`_layouts`); a port that wants to say it itself draws inside `with case.site("output"):`.

Gradients are taken through the call. A port may give them itself, under the key "gradients", by name of input or weight.

Each framework's part is one file, `target_<framework>.py`. The user's file is imported here, in a worker, and nowhere else.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Type

import numpy as np

from harness.adapters._layouts import Label, match
from harness.adapters.base import Adapter, Job, Outcome, Result, Tap, Unsupported, native_tape
from harness.tape import assign

Arrays = Dict[str, Any]


class TargetError(Exception):
    """The user's code raised, could not be imported, or returned what is no result; `detail` shows its own lines."""

    def __init__(self, message: str, detail: str = "") -> None:
        super(TargetError, self).__init__(message)
        self.detail = detail


class Case(object):
    """What a target is given.

    inputs   tensors by name: "x", and "h0", "c0", "z" where the case has them; batch-major.
    weights  canonical tensors: "kernel" (I, 4H), "recurrent_kernel" (H, 4H), "bias" (4H,), gates i, f, g, o; a stack's under
             "layer0.kernel" …
    config   the layer's settings as the case gives them.   dropout  the list of sites: at, rate, shared, noise, scale.
    mode     "train" or "eval"; `training` is the same as a bool.   seed  seed your framework with it (JAX: use `key`).
    options  what the case file gives under `options`.   dtype  the name of the dtype.
    """

    def __init__(self, job: Job, inputs: Arrays, weights: Arrays, tap: Optional[Tap], **extra: Any) -> None:
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
        self.labels: List[Label] = []
        self._tap = tap
        self._sites = job.sites
        self._seed: Optional[int] = job.seed
        for name, value in extra.items():
            setattr(self, name, value)

    @property
    def seed(self) -> int:
        """The case's seed."""
        if self._seed is None:
            raise TargetError("in JAX draw from case.key: the tap does not see keys made from a seed")
        return self._seed

    def rate(self, at: str) -> float:
        """The rate of one site; 0.0 where the case has none there, and in evaluation."""
        return next((site.rate for site in self._sites if site.at == at and self.training), 0.0)

    @contextlib.contextmanager
    def site(self, at: str, axes: Optional[Sequence[str]] = None) -> Iterator[None]:
        """Draws made inside belong to this site; `axes` names the axes of each, in order, where shapes could deceive."""
        start = len(self._tap.draws) if self._tap is not None else 0
        yield
        if self._tap is not None:
            self.labels.append(Label(at, start, len(self._tap.draws), None if axes is None else tuple(axes)))


def load(target: str) -> Callable[[Case], Any]:
    """Import `file.py:function`. Raises TargetError with the user's own traceback lines."""
    file, _, name = target.rpartition(":")
    folder = os.path.dirname(os.path.abspath(file))
    if folder not in sys.path:
        # A port may import its neighbours, as it does where it lives.
        sys.path.insert(0, folder)
    module_name = "harness_target_%x" % (hash(os.path.abspath(file)) & 0xFFFFFFFF)
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise TargetError("%s is no Python file" % file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[module_name]
            raise TargetError("%s cannot be imported: %s" % (file, said(error, file)), own_lines(error, file))
    function = getattr(module, name, None)
    if not callable(function):
        raise TargetError("%s has no function %r" % (file, name))
    return function  # type: ignore[no-any-return]


def said(error: BaseException, file: str) -> str:
    """`my_port.py:12: ValueError: …`: the last of the user's own lines, and the error."""
    text = "%s: %s" % (type(error).__name__, error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame[0], file)]
    return "%s:%d: %s" % (os.path.basename(own[-1][0]), own[-1][1], text) if own else text


def own_lines(error: BaseException, file: str) -> str:
    """The traceback without the harness's own lines."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame[0], file)]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    return "".join(lines + traceback.format_exception_only(type(error), error))


def _is_users(frame_file: str, file: str) -> bool:
    return os.path.abspath(frame_file).startswith(os.path.dirname(os.path.abspath(file)) + os.sep)


def checked(returned: Any) -> Tuple[Arrays, Arrays]:
    """Outputs and the gradients that a port gives itself. Raises TargetError where it returned something else."""
    if not isinstance(returned, dict) or not returned or not all(isinstance(name, str) for name in returned):
        raise TargetError("must return a dict of outputs such as {'y': …}, not %s" % type(returned).__name__)
    outputs = {name: value for name, value in returned.items() if name != "gradients"}
    gradients = returned.get("gradients", {})
    if not outputs or not isinstance(gradients, dict):
        raise TargetError("must return outputs by name, and 'gradients', where given, as a dict by name")
    return outputs, gradients


class Target(Adapter):
    """Base of the frameworks' parts: run once to see what is drawn, and once more with a tape where there is one."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.file = target.rpartition(":")[0]
        self.labels: List[Label] = []

    def check(self, job: Job) -> None:
        """Anything is allowed: what the port cannot express, its numbers tell."""

    def invoke(self, case: Case) -> Tuple[Arrays, Arrays]:
        """Call the user's function. Raises TargetError with its own lines."""
        function = load(self.target)
        try:
            returned = function(case)
        except TargetError:
            raise
        except Exception as error:
            raise TargetError(said(error, self.file), own_lines(error, self.file))
        finally:
            self.labels = case.labels
        return checked(returned)

    def attempt(self, job: Job, tap: Tap) -> Outcome:
        """One call under a tap."""
        self.border = tap
        with tap:
            return self.call(job)

    def run(self, job: Job) -> Result:
        """As the base, but the slots are found from what was drawn."""
        if job.calls > 1:
            raise Unsupported("a target is called once a seed")
        tap = self.tap(None)
        outcome = self.attempt(job._replace(tape=None), tap)
        slots = match(tap.draws, self.labels, job.sites)
        if job.tape is not None:
            tap = self.tap(native_tape(job, slots))
            outcome = self.attempt(job, tap)
        order = tuple((slot.site, tuple(slot.shape)) for slot in slots)
        return Result(outcome.outputs, outcome.gradients, assign(tap.draws, slots), order)


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
    importlib.import_module("harness.adapters.target_" + name)
    return _FRAMEWORKS[name](target)


def arrays_of(found: Arrays, like: np.dtype) -> Dict[str, np.ndarray]:
    """Results as arrays; a Python number or list is taken in the case's dtype."""
    return {
        name: np.asarray(value) if isinstance(value, np.ndarray) else np.asarray(value, dtype=like)
        for name, value in found.items()
    }
