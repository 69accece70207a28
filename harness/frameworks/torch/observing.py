"""A torch program under observation: an `nn.Module`, a function, or `file.py:name` of either, of a class or of a function that
makes one.
"""

import contextlib
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np

from harness.frameworks.contract import keras_models, users
from harness.frameworks.contract.calling import arguments, words
from harness.frameworks.contract.framework import around_ports
from harness.frameworks.contract.making import SEED, Generators, global_seeds, nothing, thing_of
from harness.frameworks.contract.own_files import TargetError
from harness.frameworks.contract.programs import (
    ProgramError,
    Request,
    Trace,
    cotangent,
    deviation,
    flattened,
    weighed,
    with_idle,
)
from harness.frameworks.torch.arrays import from_numpy, to_numpy, torch_module
from harness.frameworks.torch.tap import untapped
from harness.frameworks.torch.trace import Books, ProgramTap, watching
from harness.tape import TapeMismatch


def observe(target: Any, request: Request) -> Trace:
    """Call a program and write down what it does. Raises ProgramError with the user's own lines."""
    torch = torch_module()
    books = Books(request.noise, request.values, request.noise > 0)
    tap = ProgramTap(books, request.tape)
    watched = Watched(books, request)
    inputs, given = _inputs(request)
    torch.manual_seed(request.seed)
    try:
        call = _callable(target, request, watched)
        generators = Generators()
        torch.manual_seed(request.seed)
        with _plain_kernels(), watched, watching(books), tap, around_ports("torch", quietly):
            outputs = flattened(call(given), torch.is_tensor)
            if not outputs:
                raise ProgramError("returned no array")
            books.forward = False
            rests = _rests(books, outputs.values())
            gradients = _gradients(outputs, inputs, watched.parameters(), request.outputs) if request.gradients else {}
        tap.finished()
    except (ProgramError, TapeMismatch) as error:
        raise ProgramError(str(error), getattr(error, "detail", "")) from error
    except TargetError as error:
        raise ProgramError(str(error), error.detail) from error
    except (Exception, SystemExit) as error:
        raise ProgramError(users.said(error), users.own_lines(error)) from error
    notes = ["%s has no float64 run" % operation for operation in books.shadows.lost]
    notes += generators.notes()
    if request.tape is None:
        books.draws = with_idle(books.draws, rests)
    return _trace(books, watched, outputs, gradients, notes)


def _rests(books: Books, outputs: Iterable[Any]) -> int:
    """The draws that outputs rest on, a bit for each."""
    import torch

    found = 0
    for value in outputs:
        if torch.is_tensor(value):
            found |= books.shadows.of(value).rests
    return found


def _trace(
    books: Books, watched: "Watched", outputs: Dict[str, Any], gradients: Dict[str, Any], notes: List[str]
) -> Trace:
    import torch

    clean: Dict[str, np.ndarray] = {}
    clean_gradients: Dict[str, np.ndarray] = {}
    sensitivity = dict(watched.sensitivity)
    shadows = books.shadows
    if shadows.count:
        for prefix, found, into in (("", outputs, clean), ("gradient/", gradients, clean_gradients)):
            for name, value in found.items():
                if not torch.is_tensor(value) or not value.is_floating_point():
                    continue
                runs = [np.array(shadows.view(value, number).numpy()) for number in range(shadows.count)]
                into[name] = runs[0]
                sensitivity[prefix + name] = deviation(runs[1:], runs[0])
    steps = {name: shadows.of(value).step for name, value in outputs.items() if torch.is_tensor(value)}
    wide = np.zeros((0, books.prints[0].size)) if books.prints else np.zeros((0, 0))
    return Trace(
        draws=books.draws,
        steps=books.steps,
        outputs={name: _array(value) for name, value in outputs.items()},
        clean=clean,
        sensitivity=sensitivity,
        gradients={name: _array(value) for name, value in gradients.items()},
        clean_gradients=clean_gradients,
        prints=np.array(books.prints) if books.prints else wide,
        clean_prints=np.array(books.clean) if books.clean else wide,
        spread=np.array(books.spread),
        output_steps={name: step for name, step in steps.items() if step >= 0},
        parameters=watched.before,
        state=watched.state,
        notes=notes,
        clean_state=watched.clean_state,
    )


def _array(value: Any) -> np.ndarray:
    import torch

    return np.array(to_numpy(value) if torch.is_tensor(value) else value)


def _inputs(request: Request) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The leaves of which gradients are taken, and what the program is given: no leaf, so that it may change it in place."""
    leaves, given = {}, {}
    for name, array in request.inputs.items():
        tensor = from_numpy(array)
        if request.gradients and tensor.is_floating_point():
            leaves[name] = tensor.requires_grad_()
            tensor = tensor.clone()
        given[name] = tensor
    return leaves, given


def _gradients(
    outputs: Dict[str, Any], inputs: Dict[str, Any], parameters: Dict[str, Any], believed: Sequence[str]
) -> Dict[str, Any]:
    import torch

    wanted = {"input/" + name: leaf for name, leaf in inputs.items()}
    wanted.update(("weight/" + name, value) for name, value in parameters.items() if value.requires_grad)
    numbered = [(number, outputs[name]) for name, number in weighed(list(outputs), believed).items()]
    rooted = [(number, out) for number, out in numbered if torch.is_tensor(out) and out.requires_grad]
    if not wanted or not rooted:
        return {}
    weights = [from_numpy(cotangent(out.shape, number)).to(out.dtype) for number, out in rooted]
    found = torch.autograd.grad([out for _, out in rooted], list(wanted.values()), weights, allow_unused=True)
    # What no output rests on has a gradient all the same, zero: where only one program cuts it off, the two differ.
    return {name: torch.zeros_like(wanted[name]) if value is None else value for name, value in zip(wanted, found)}


@contextlib.contextmanager
def _plain_kernels() -> Iterator[None]:
    """Operations one by one: oneDNN and fused attention would join several, and draw where nothing can be seen."""
    import torch
    import torch.nn.attention

    fast, joined = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(joined)


def _callable(target: Any, request: Request, watched: "Watched") -> Callable[[Dict[str, Any]], Any]:
    """What is called with the inputs; a target that makes a model has made it."""
    import torch

    def is_model(thing: Any) -> bool:
        return isinstance(thing, torch.nn.Module)

    def seeded() -> Any:
        torch.manual_seed(SEED)
        return nothing()

    thing, name = thing_of(target, request.inputs, is_model, seeded)
    if not callable(thing):
        raise ProgramError("%s is %s, which cannot be called" % (name, type(thing).__name__))
    if keras_models.is_keras(thing):
        return _keras(thing, request, watched)
    known = dict(words(request.mode, request.seed), weights=request.weights)
    if isinstance(thing, torch.nn.Module):
        watched.modes(thing)
        thing.train(request.mode == "train")
        known = {key: value for key, value in known.items() if key != "weights"}
    function = thing.forward if isinstance(thing, torch.nn.Module) else thing

    def call(inputs: Dict[str, Any]) -> Any:
        positional, named = arguments(function, inputs, known, name)
        return thing(*positional, **named)

    return call


def _keras(thing: Any, request: Request, watched: "Watched") -> Callable[[Dict[str, Any]], Any]:
    """A Keras model is told its mode in the call."""
    keras_models.require(thing, "torch")
    with global_seeds():
        keras_models.build(thing, {name: from_numpy(array) for name, array in request.inputs.items()})
    watched.modes(thing)

    def call(inputs: Dict[str, Any]) -> Any:
        positional, named = keras_models.arguments(thing, inputs, request.mode == "train")
        return thing(*positional, **named)

    return call


class Watched:
    """Knows which module runs, and puts weights into the outermost ones when they first run.

    What a call changed in a model is put back at its end, so that every observed call starts from the same.
    """

    def __init__(self, books: Books, request: Request) -> None:
        self.books = books
        self.request = request
        self.paths: Dict[int, str] = {}
        self.roots: List[Any] = []
        self.before: Dict[str, np.ndarray] = {}
        self.state: Dict[str, np.ndarray] = {}
        self.clean_state: Dict[str, np.ndarray] = {}
        self.sensitivity: Dict[str, float] = {}
        self._handles: List[Any] = []
        self._restores: List[Any] = []

    def __enter__(self) -> "Watched":
        import torch.nn.modules.module as modules

        self._handles = [
            modules.register_module_forward_pre_hook(self._enter_module),
            modules.register_module_forward_hook(self._leave_module, always_call=True),
        ]
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._note_buffers()
        for restore in self._restores:
            restore()

    def _enter_module(self, module: Any, inputs: Any) -> None:
        shapes_only = any(getattr(item, "is_meta", False) for item in inputs)
        if id(module) not in self.paths and not shapes_only:
            with quietly():
                self._root(module)
        scope = keras_models.scope() if keras_models.is_keras(module) else self.paths.get(id(module), "")
        self.books.scopes.append(scope)

    def _leave_module(self, *_: Any) -> None:
        self.books.scopes.pop()

    def _root(self, module: Any) -> None:
        """A module that belongs to none seen before."""
        prefix = "%d." % len(self.roots) if self.roots else ""
        self.roots.append(module)
        for path, inner in module.named_modules():
            self.paths.setdefault(id(inner), (prefix + path).rstrip("."))
        for inner in module._flatten_layers() if keras_models.is_keras(module) else ():
            # A functional model's layers are no attributes of it.
            self.paths.setdefault(id(inner), prefix + str(inner.path).replace("/", "."))
        self._restores.append(_keeping(module))
        if keras_models.is_keras(module):
            keras_models.seed(module, self.request.seed)
        if self.request.weights is not None:
            _put(module, prefix, self.request.weights)
        for name, value in _state(module).items():
            self.before[prefix + name] = np.array(to_numpy(value))

    def modes(self, module: Any) -> None:
        """Put the modes of a model and its parts back at the end."""
        modes = [(inner, inner.training) for inner in module.modules()]

        def restore() -> None:
            for inner, training in modes:
                inner.training = training

        self._restores.append(restore)

    def parameters(self) -> Dict[str, Any]:
        """The parameters of all that ran, by name."""
        found: Dict[str, Any] = {}
        for number, root in enumerate(self.roots):
            prefix = "%d." % number if number else ""
            found.update((prefix + name, value) for name, value in _parameters(root).items())
        return found

    def _note_buffers(self) -> None:
        """The buffers, such as batch statistics, as they are after the call; before they are put back."""
        shadows = self.books.shadows
        for number, root in enumerate(self.roots):
            prefix = "%d." % number if number else ""
            for name, value in _buffers(root).items():
                self.state[prefix + name] = np.array(to_numpy(value))
                if shadows.count and value.is_floating_point():
                    runs = [np.array(shadows.view(value, each).numpy()) for each in range(shadows.count)]
                    self.clean_state[prefix + name] = runs[0]
                    self.sensitivity["state/" + prefix + name] = deviation(runs[1:], runs[0])


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Operations that are the harness's own: no mode sees them."""
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        yield


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Neither operations nor draws of this block are the program's: the harness's own, and initial values."""
    with untapped(), _aside():
        yield


def _parameters(module: Any) -> Dict[str, Any]:
    if keras_models.is_keras(module):
        return {name: one._value for name, one in keras_models.variables(module).items() if one.trainable}
    return {name: value for name, value in module.named_parameters() if keras_models.SEEDS not in name}


def _buffers(module: Any) -> Dict[str, Any]:
    """What a call changes: buffers; of a Keras model the variables that are not trained."""
    if keras_models.is_keras(module):
        return {name: one._value for name, one in keras_models.variables(module).items() if not one.trainable}
    return dict(module.named_buffers())


def _state(module: Any) -> Dict[str, Any]:
    return dict(_parameters(module), **_buffers(module))


def _keeping(module: Any) -> Callable[[], None]:
    """A function that gives a module the numbers back that it has now."""
    import torch

    def everything() -> Dict[str, Any]:
        states = keras_models.seeds(module) if keras_models.is_keras(module) else []
        return dict(_state(module), **{"%s %d" % (keras_models.SEEDS, n): one._value for n, one in enumerate(states)})

    kept = {name: value.detach().clone() for name, value in everything().items()}

    def restore() -> None:
        with torch.no_grad():
            for name, value in everything().items():
                if name in kept and kept[name].shape == value.shape and not torch.equal(value, kept[name]):
                    value.copy_(kept[name])

    return restore


def _put(module: Any, prefix: str, weights: Dict[str, np.ndarray]) -> None:
    import torch

    with torch.no_grad():
        for name, value in _state(module).items():
            given = weights.get(prefix + name)
            if given is not None:
                value.copy_(from_numpy(given))
