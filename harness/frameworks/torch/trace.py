"""Watches a torch program: a dispatch mode that numbers its operations and follows them in float64, and a tap for its draws.

Every ATen operation passes `Watching`, below autograd, also those inside `nn.LSTM`, attention and the backward pass. The tap
(`ProgramTap`, the one of harness.frameworks.torch.tap with other books) lies inside it. A uniform is followed through additions
of a number to the comparison or the floor that makes a decision of it.
"""

import math
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract import users
from harness.frameworks.contract.programs import (
    ABOVE,
    BELOW,
    DECISION,
    NORMAL,
    PRINT,
    UNIFORM,
    Drawn,
    Step,
    compared,
    positions,
    summary,
)
from harness.frameworks.torch.arrays import from_numpy, to_numpy
from harness.frameworks.torch.shadows import Shadows
from harness.frameworks.torch.tap import WITH_RATE, TorchTap, _by_name, _draws_nothing
from harness.tape import TapeMismatch

#: Operations whose result is their input's numbers in another order: no step of a program.
MOVES = frozenset(
    [
        "view",
        "transpose",
        "t",
        "permute",
        "unsqueeze",
        "squeeze",
        "expand",
        "slice",
        "select",
        "detach",
        "alias",
        "split",
        "unbind",
        "_unsafe_view",
        "reshape",
        "split_with_sizes",
        "as_strided",
        "clone",
        "_to_copy",
        "unfold",
        "lift_fresh",
        "contiguous",
        "copy_",
        "lift_fresh_copy",
    ]
)
#: Operations that make room or constants.
ROOM = frozenset(
    [
        "empty",
        "empty_like",
        "new_empty",
        "empty_strided",
        "new_empty_strided",
        "zeros",
        "zeros_like",
        "new_zeros",
        "ones",
        "ones_like",
        "new_ones",
        "full",
        "full_like",
        "new_full",
        "scalar_tensor",
        "zero_",
        "fill_",
        "arange",
    ]
)
COMPARED = {"lt": BELOW, "le": BELOW, "ge": ABOVE, "gt": ABOVE}


class Books:
    """What is written down of one call."""

    def __init__(self, noise: int, values: bool, shadows: bool) -> None:
        self.draws: List[Drawn] = []
        self.steps: List[Step] = []
        self.prints: List[np.ndarray] = []
        self.clean: List[np.ndarray] = []
        self.spread: List[float] = []
        self.scopes: List[str] = []
        self.values = values
        self.forward = True
        self.shadows = Shadows(noise if shadows else -1)

    @property
    def scope(self) -> str:
        """The path of the module that runs."""
        return self.scopes[-1] if self.scopes else ""

    def decide(self, number: int, values: np.ndarray, p: float, rule: str) -> None:
        """What a uniform was for is known now."""
        if self.draws[number].kind == UNIFORM:
            self.draws[number] = self.draws[number]._replace(kind=DECISION, values=values, p=p, rule=rule)


class ProgramTap(TorchTap):
    """Records what a program draws, with its place; gives a tape's draws instead where there is one."""

    def __init__(self, books: Books, tape: Optional[Sequence[Drawn]]) -> None:
        super().__init__()
        self.books = books
        self.tape = None if tape is None else list(tape)
        # The base's handlers ask whether there is a replay.
        self.replay = None if tape is None else []
        self.taken = 0
        #: how many draws' results the program has.
        self.given_out = 0

    def _next(self, shape: Sequence[int], what: str) -> Optional[Drawn]:
        if self.tape is None:
            return None
        if self.taken >= len(self.tape):
            raise TapeMismatch("draws %s%s, after all %d draws of the tape" % (what, tuple(shape), len(self.tape)))
        given = self.tape[self.taken]
        self.taken += 1
        if given.shape != tuple(shape):
            raise TapeMismatch(
                "draw %d is %s%s where the tape has %s%s"
                % (self.taken - 1, what, tuple(shape), given.kind, given.shape)
            )
        return given

    def _note(self, kind: str, values: np.ndarray, p: float = math.nan, dtype: str = "") -> None:
        place, source = users.line(sys._getframe(2))
        books = self.books
        books.draws.append(Drawn(kind, values, p, "", books.scope, place, source, dtype, len(books.steps)))

    def bernoulli(self, shape: Sequence[int], params: Dict[str, float], draw: Callable[[], np.ndarray]) -> np.ndarray:
        """A decision of torch's own."""
        given = self._next(shape, "a decision ")
        decided = np.array(draw() if given is None else given.values, dtype=bool)
        self._note(DECISION, decided, params.get("keep", math.nan))
        return decided

    def uniform(self, wanted: Any, low: float, high: float, draw: Callable[[], Any]) -> Any:
        """Numbers that may become a decision; a tape gives either."""
        import torch

        given = self._next(wanted.shape, "a uniform ")
        if given is None:
            drawn = draw()
        elif given.kind == DECISION:
            # The two ends of [0, 1) decide so whatever the probability is.
            top = 1.0 - float(torch.finfo(wanted.dtype).eps) / 2
            ends = (0.0, top) if given.rule == "u <" else (top, 0.0)
            drawn = wanted.copy_(from_numpy(low + (high - low) * np.where(given.values, *ends)))
        else:
            drawn = wanted.copy_(from_numpy(low + (high - low) * np.asarray(given.values, dtype=np.float64)))
        values = to_numpy(drawn).astype(np.float64)
        self._note(UNIFORM, (values - low) / ((high - low) or 1.0), dtype=str(wanted.dtype).replace("torch.", ""))
        if (low, high) == (0.0, 1.0):
            self.books.shadows.of(drawn).uniform = (len(self.books.draws) - 1, 0.0)
        return drawn

    def normal(self, wanted: Any, mean: float, stddev: float, draw: Callable[[], Any]) -> Any:
        """Normal numbers; the tape's are standard ones."""
        given = self._next(wanted.shape, "a normal ")
        if given is None:
            drawn = draw()
        else:
            drawn = wanted.copy_(from_numpy(np.asarray(given.values, dtype=np.float64) * stddev + mean))
        values = to_numpy(drawn).astype(np.float64)
        self._note(NORMAL, (values - mean) / (stddev or 1.0), dtype=str(wanted.dtype).replace("torch.", ""))
        return drawn

    def returned(self, result: Any) -> None:
        """What was drawn since is what this tensor rests on."""
        import torch

        bits = sum(1 << number for number in range(self.given_out, len(self.books.draws)))
        self.given_out = len(self.books.draws)
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.books.shadows.of(tensor).rests |= bits

    def stranger(self, operator: Any, real: Callable[[], Any]) -> Any:
        """Any other random operation is known by its values, and takes values."""
        import torch

        name = operator.overloadpacket.__name__ if hasattr(operator, "overloadpacket") else str(operator)
        if any(argument.name in WITH_RATE for argument in operator._schema.arguments):
            raise TapeMismatch("%s draws inside of its kernel, where no draw can be seen or replayed" % operator)
        result = real()
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                given = self._next(tensor.shape, name.rstrip("_") + " ")
                if given is not None:
                    tensor.copy_(from_numpy(np.array(given.values)))
                self._note(name.rstrip("_"), np.array(to_numpy(tensor)), dtype=str(tensor.dtype).replace("torch.", ""))
        return result

    def finished(self) -> None:
        """Raise TapeMismatch where the program drew less than the tape holds."""
        if self.tape is not None and self.taken < len(self.tape):
            raise TapeMismatch("drew %d times where the tape has %d draws" % (self.taken, len(self.tape)))


def _settings(func: Any, args: Sequence[Any], kwargs: Dict[str, Any]) -> Dict[str, Any]:
    """The numbers, words and lists of numbers that an operation is called with."""
    found = {}
    for name, value in _by_name(func, args, kwargs).items():
        plain = value if isinstance(value, (tuple, list)) else [value]
        if all(isinstance(item, (bool, int, float, str)) for item in plain):
            found[name] = list(value) if isinstance(value, (tuple, list)) else value
    return found


def watching(books: Books) -> Any:
    """The dispatch mode that fills the books."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seeded = torch.Tag.nondeterministic_seeded

    def tensors(items: Any) -> List[Any]:
        found: List[Any] = []
        for item in items:
            if isinstance(item, torch.Tensor):
                found.append(item)
            elif isinstance(item, (tuple, list)):
                found += tensors(item)
        return found

    def is_float(item: Any) -> bool:
        return bool(item.is_floating_point() or item.is_complex())

    def is_random(func: Any, args: Any, kwargs: Any) -> bool:
        return seeded in func.tags and not _draws_nothing(_by_name(func, args, kwargs))

    class Watching(TorchDispatchMode):  # type: ignore[misc]
        """Numbers the operations."""

        @classmethod
        def ignore_compile_internals(cls) -> bool:
            """Compiled code is watched as it would run by itself."""
            return True

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            name = func.overloadpacket.__name__ if hasattr(func, "overloadpacket") else str(func)
            shadows = books.shadows
            taken = tensors(args) + tensors(list(kwargs.values()))
            if any(item.is_meta for item in taken):
                # Keras asks for shapes so.
                return func(*args, **kwargs)
            with torch.no_grad():
                if shadows.count and not func.is_view:
                    shadows.prepare([item for item in taken if is_float(item)])
                sources = tuple(dict.fromkeys(shadows.of(item).step for item in taken))
                uniform = next((shadows.of(item).uniform for item in taken if shadows.of(item).uniform), None)
                written = {item.untyped_storage()._cdata for item in taken}
                result = func(*args, **kwargs)
                results = tensors(result if isinstance(result, (tuple, list)) else [result])
                rests = 0
                for item in taken:
                    rests |= shadows.of(item).rests
                for item in results if rests else ():
                    shadows.of(item).rests |= rests
                fresh = [item.untyped_storage()._cdata not in written for item in results]
                if uniform is not None and results:
                    follow(uniform, name, args, results[0])
                if func.is_view:
                    return result
                floats = [item for item in results if is_float(item)]
                whose = [own for item, own in zip(results, fresh) if is_float(item)]
                if shadows.count and floats:
                    self.shadow(func, name, args, kwargs, floats, whose)
                if not is_random(func, args, kwargs) or name == "native_dropout":
                    given = _settings(func, args, kwargs) if books.values else {}
                    self.note(name, tuple(step for step in sources if step >= 0), results, given)
            return result

        def shadow(self, func: Any, name: str, args: Any, kwargs: Any, floats: List[Any], fresh: List[bool]) -> None:
            shadows = books.shadows
            if name == "native_dropout":
                for number in range(shadows.count):
                    source = shadows.view(args[0], number)
                    keep = 1.0 - float(args[1])
                    mask = (floats[0] != 0) | (args[0] == 0)
                    shadows._put(floats[0], source * mask / keep if keep else source * 0.0, number)
            elif is_random(func, args, kwargs) or not tensors(args):
                for item in floats:
                    shadows.forget(item)
            else:
                shadows.follow(func, name, args, kwargs, floats, fresh)

        def note(self, name: str, sources: Tuple[int, ...], results: List[Any], given: Dict[str, Any]) -> None:
            """Write an operation down, and say of its results whose they are."""
            if not books.forward or not results:
                return
            first = results[0]
            if name in MOVES or not is_float(first):
                if sources:
                    for item in results:
                        books.shadows.of(item).step = max(sources)
                return
            if name in ROOM:
                return
            place, source = users.line(sys._getframe(2))
            dtype = str(first.dtype).replace("torch.", "")
            books.steps.append(Step(name, tuple(first.shape), sources, books.scope, place, source, dtype, given))
            if books.values:
                measure(first)
            for item in results:
                books.shadows.of(item).step = len(books.steps) - 1

    def measure(item: Any) -> None:
        shadows = books.shadows
        books.prints.append(printed(item.detach()))
        if shadows.count:
            clean = printed(shadows.view(item, 0))
            books.clean.append(clean)
            with np.errstate(invalid="ignore"):
                others = [np.abs(printed(shadows.view(item, number)) - clean) for number in range(1, shadows.count)]
            spread = max((float(np.max(gap)) for gap in others), default=0.0)
            books.spread.append(spread if math.isfinite(spread) else math.inf)

    def printed(item: Any) -> np.ndarray:
        if item.is_complex():
            item = torch.view_as_real(item.resolve_conj())
        flat = torch.sort(item.double().reshape(-1))[0]
        kept = flat[torch.from_numpy(positions(flat.numel()))].numpy()
        found = summary(kept, np.zeros(0))
        if flat.numel():
            found[PRINT - 3 :] = float(flat.mean()), float(flat.abs().mean()), float(flat.square().mean().sqrt())
        return found

    def follow(uniform: Tuple[int, float], name: str, args: Any, result: Any) -> None:
        """What becomes of a uniform: moved, shifted by a number, or decided from."""
        number, offset = uniform
        kept = books.shadows.of
        at = next((n for n, a in enumerate(args) if isinstance(a, torch.Tensor) and kept(a).uniform == uniform), 0)
        others = [value for n, value in enumerate(args[:2]) if n != at]
        other = None
        if others and isinstance(others[0], (int, float)):
            other = float(others[0])
        elif others and isinstance(others[0], torch.Tensor) and others[0].numel():
            values = others[0].reshape(-1)
            other = float(values[0]) if bool((values == values[0]).all()) else None
        if name in MOVES or name.rstrip("_") == "detach":
            kept(result).uniform = uniform
        elif name in COMPARED and other is not None:
            rule, p = compared(COMPARED[name], at, offset, other)
            books.decide(number, to_numpy(result).copy(), p, rule)
        elif name in ("add", "add_") and other is not None:
            kept(result).uniform = (number, offset + other)
        elif name in ("sub", "sub_") and other is not None and at == 0:
            kept(result).uniform = (number, offset - other)
        elif name in ("floor", "floor_"):
            books.decide(number, to_numpy(result) >= 1, offset, "floor(p + u)")
        elif name.endswith("_"):
            kept(result).uniform = None

    return Watching()
