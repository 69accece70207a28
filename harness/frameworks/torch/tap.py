"""The tap at PyTorch's random border: a TorchDispatchMode sees every random ATen operator, also inside `nn.LSTM`.

It lies below autograd, so a replayed mask is the mask of the backward pass too. What it understands: `bernoulli` and
`bernoulli_` (probability a float or a tensor), `native_dropout`, `uniform_`, `rand`, `rand_like`, `normal_`, `normal`,
`randn`, `randn_like`; every kind of `torch.nn.functional` dropout is built from these. Another random operator (by
PyTorch's own tag `nondeterministic_seeded`, and a few that lack the tag) raises TapeMismatch rather than pass unseen.

Draws into an `nn.Parameter` are initialisation, not dropout: they happen, unrecorded. `untapped()` sets a tap aside
while a layer whose initialisers draw into plain tensors is built (Keras on torch).

Source: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-all-torch-api-with-modes
"""

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import numpy as np

from harness.frameworks.contract.adapter import Tap
from harness.frameworks.torch.arrays import from_numpy, to_numpy
from harness.tape import BERNOULLI, NORMAL, UNIFORM, Draw, TapeMismatch, deciding_uniforms

#: Random operators that PyTorch does not tag `nondeterministic_seeded`.
UNTAGGED = ("random", "random_", "binomial", "_sample_dirichlet", "_standard_gamma", "normal_functional")

#: Random only where their dropout probability (by its name in the operator's schema) is not 0.
WITH_RATE = {"dropout_p": 0.0, "dropout": 0.0}

_ACTIVE: List["TorchTap"] = []


@contextlib.contextmanager
def untapped() -> Iterator[None]:
    """Draws in this block are neither recorded nor replayed by the taps around it."""
    before = [tap.aside for tap in _ACTIVE]
    taps = list(_ACTIVE)
    for tap in taps:
        tap.aside = True
    try:
        yield
    finally:
        for tap, aside in zip(taps, before):
            tap.aside = aside


class TorchTap(Tap):
    """Records or replays what torch draws; see harness.frameworks.contract.adapter.Tap.

    `rule` (one of harness.tape.KEEP_RULES) says what the code under the tap does with uniform draws: a replay needs
    it to give uniforms that decide as the tape says. torch itself never decides from a uniform.
    """

    def __init__(self, replay: Optional[Sequence[Draw]] = None, rule: str = "") -> None:
        super().__init__(replay)
        self.rule = rule
        self.aside = False
        self._mode: Any = None

    def __enter__(self) -> "TorchTap":
        self._mode = _mode_class()(self)
        self._mode.__enter__()
        _ACTIVE.append(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        _ACTIVE.remove(self)
        self._mode.__exit__(*exc)

    def bernoulli(self, shape: Sequence[int], params: Dict[str, float], draw: Callable[[], np.ndarray]) -> np.ndarray:
        """Take decisions from the tape, or from `draw`, and record them."""
        if self.replay is None:
            decided = draw()
        else:
            decided = np.asarray(self.next_replay(BERNOULLI, shape).values, dtype=bool)
        self.draws.append(Draw(BERNOULLI, decided, params=params))
        return decided

    def returned(self, result: Any) -> None:
        """A random operator has given its result, as the program gets it."""

    def stranger(self, operator: Any, real: Callable[[], Any]) -> Any:
        """A random operator that no handler knows: nothing is replayed for it, and nothing passes unseen."""
        raise TapeMismatch("%s draws random numbers in a way that the tap does not understand" % operator)

    def uniform(self, wanted: Any, low: float, high: float, draw: Callable[[], Any]) -> Any:
        """Fill the tensor `wanted` with uniforms: drawn ones, or ones that decide as the tape does."""
        if self.replay is None:
            drawn = draw()
        else:
            if not self.rule or (low, high) != (0.0, 1.0):
                raise TapeMismatch(
                    "uniform[%g, %g)%s is drawn: what it decides is unknown" % (low, high, tuple(wanted.shape))
                )
            draw_of_tape = self.next_replay(BERNOULLI, wanted.shape)
            kept = np.asarray(draw_of_tape.values, dtype=bool)
            uniforms = deciding_uniforms(
                kept,
                self.rule,
                draw_of_tape.params.get("rate"),
                1.0 - _spacing_below_one(wanted),
                lambda inner: to_numpy(wanted.new_empty(wanted.shape).copy_(from_numpy(inner))),
            )
            drawn = wanted.copy_(from_numpy(uniforms))
        self.draws.append(Draw(UNIFORM, to_numpy(drawn).copy(), rule=self.rule, params={"low": low, "high": high}))
        return drawn

    def normal(self, wanted: Any, mean: float, stddev: float, draw: Callable[[], Any]) -> Any:
        """Fill the tensor `wanted` with normals: drawn ones, or mean + stddev * (the tape's standard normals)."""
        if self.replay is None:
            drawn = draw()
        else:
            standard = self.next_replay(NORMAL, wanted.shape).values
            drawn = wanted.copy_(from_numpy(np.asarray(standard, dtype=np.float64) * stddev + mean))
        self.draws.append(Draw(NORMAL, to_numpy(drawn).copy(), params={"mean": mean, "stddev": stddev}))
        return drawn


def _spacing_below_one(tensor: Any) -> float:
    """How far the largest number below 1 lies from 1 in the tensor's dtype."""
    import torch

    return float(torch.finfo(tensor.dtype).eps) / 2


def _constant(value: Any, name: str) -> float:
    """A distribution's parameter as one float; raises TapeMismatch where a tensor gives several."""
    import torch

    if not isinstance(value, torch.Tensor):
        return float(value)
    first = float(value.flatten()[0]) if value.numel() else 0.0
    if not bool((value == first).all()):
        raise TapeMismatch("a normal draw with several values of %s in one tensor has no canonical form" % name)
    return first


def _probability(value: Any) -> Dict[str, float]:
    """The parameters of a Bernoulli draw: `keep`, where one value holds for the whole draw."""
    import torch

    if not isinstance(value, torch.Tensor):
        return {"keep": float(value)}
    if value.numel() and bool((value == value.flatten()[0]).all()):
        return {"keep": float(value.flatten()[0])}
    return {}


# Handlers, by operator name. Each gets the tap, a function that makes the real call, and the arguments by schema name.
# They run with the mode set aside, so what they call is not seen again.


def _bernoulli_in_place(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    target = given["self"]
    decided = tap.bernoulli(target.shape, _probability(given["p"]), lambda: to_numpy(real()) != 0)
    return target if tap.replay is None else target.copy_(from_numpy(decided))


def _bernoulli(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    import torch

    drawn = torch.empty_like(given["self"])
    # The probability is `self` itself, unless the overload has a `p` of its own.
    params = _probability(given.get("p", given["self"]))
    decided = tap.bernoulli(drawn.shape, params, lambda: to_numpy(drawn.copy_(real())) != 0)
    return drawn if tap.replay is None else drawn.copy_(from_numpy(decided))


def _native_dropout(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    """Fused dropout: (output, mask), output = input * mask * (1 / (1 - p))."""
    if given["train"] is False:
        return real()
    source, keep = given["input"], 1.0 - float(given["p"])
    if tap.replay is None:
        output, mask = real()
        tap.bernoulli(source.shape, {"keep": keep}, lambda: np.array(to_numpy(mask), dtype=bool))
        return output, mask
    mask = from_numpy(tap.bernoulli(source.shape, {"keep": keep}, _never)).to(source.device)
    return source.mul(mask).mul_(1.0 / keep if keep else 0.0), mask


def _uniform_in_place(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    return tap.uniform(given["self"], float(given["from"]), float(given["to"]), real)


def _rand(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    return tap.uniform(_made(given), 0.0, 1.0, real)


def _normal_in_place(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    return tap.normal(given["self"], float(given["mean"]), float(given["std"]), real)


def _randn(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    return tap.normal(_made(given), 0.0, 1.0, real)


def _normal(tap: TorchTap, real: Callable[[], Any], given: Dict[str, Any]) -> Any:
    import torch

    mean, std = given["mean"], given["std"]
    if "size" in given:
        wanted = _made(given)
    else:
        shapes = [value.shape for value in (mean, std) if isinstance(value, torch.Tensor)]
        pattern = mean if isinstance(mean, torch.Tensor) else std
        wanted = pattern.new_empty(torch.broadcast_shapes(*shapes))
    return tap.normal(wanted, _constant(mean, "mean"), _constant(std, "std"), real)


def _made(given: Dict[str, Any]) -> Any:
    """The empty tensor that a factory such as `rand`, `rand_like` or `normal` with a size would fill."""
    import torch

    settings = {name: given[name] for name in ("dtype", "layout", "device", "pin_memory") if name in given}
    if "self" in given:
        return torch.empty_like(given["self"], **settings)
    return torch.empty(given["size"], **settings)


def _never() -> np.ndarray:
    raise AssertionError("a replay does not draw")


_HANDLERS: Dict[str, Callable[[TorchTap, Callable[[], Any], Dict[str, Any]], Any]] = {
    "bernoulli": _bernoulli,
    "bernoulli_": _bernoulli_in_place,
    "native_dropout": _native_dropout,
    "uniform_": _uniform_in_place,
    "rand": _rand,
    "rand_like": _rand,
    "normal_": _normal_in_place,
    "normal": _normal,
    "randn": _randn,
    "randn_like": _randn,
}


def _by_name(func: Any, args: Sequence[Any], kwargs: Dict[str, Any]) -> Dict[str, Any]:
    """An operator's arguments by their names in its schema, defaults included."""
    given: Dict[str, Any] = {}
    for position, argument in enumerate(func._schema.arguments):
        if position < len(args):
            given[argument.name] = args[position]
        elif argument.name in kwargs:
            given[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            given[argument.name] = argument.default_value
    return given


def _draws_nothing(given: Dict[str, Any]) -> bool:
    """Whether an operator that only may draw (attention, cuDNN's RNN, rrelu) does not: rate 0, or not training."""
    if given.get("train") is False or given.get("training") is False:
        return True
    return any(name in given and given[name] == zero for name, zero in WITH_RATE.items())


_MODE: List[Any] = []


def _mode_class() -> Any:
    """The dispatch mode's class, made once; its base is torch's, so it cannot exist before torch is imported."""
    if _MODE:
        return _MODE[0]
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seeded = torch.Tag.nondeterministic_seeded

    class Mode(TorchDispatchMode):  # type: ignore[misc]
        """Hands random operators to the tap and lets all others pass."""

        def __init__(self, tap: TorchTap) -> None:
            super().__init__()
            self.tap = tap
            self.passing: Any = set()

        @classmethod
        def ignore_compile_internals(cls) -> bool:
            """Without this, torch.compile falls back to eager calls, silently, wherever a mode is active."""
            return True

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in self.passing or self.tap.aside:
                return func(*args, **kwargs)
            name = func.overloadpacket.__name__ if hasattr(func, "overloadpacket") else str(func)
            if name not in UNTAGGED and seeded not in getattr(func, "tags", ()):
                self.passing.add(func)
                return func(*args, **kwargs)
            given = _by_name(func, args, kwargs)
            handler = _HANDLERS.get(name)
            if "out" in given or "out0" in given:
                raise TapeMismatch("%s draws into `out`, which the tap does not follow" % func)
            if isinstance(given.get("self"), torch.nn.Parameter) and name.endswith("_"):
                return func(*args, **kwargs)
            if handler is not None:
                result = handler(self.tap, lambda: func(*args, **kwargs), given)
            elif _draws_nothing(given):
                return func(*args, **kwargs)
            else:
                result = self.tap.stranger(func, lambda: func(*args, **kwargs))
            self.tap.returned(result)
            return result

    _MODE.append(Mode)
    return Mode
