"""The tap for Keras 3 on its JAX backend: what Keras's own backend random module asks of `jax.random`.

Keras passes raw uint32 keys, which a PRNG implementation of our own cannot wrap, so the border is the name `jax` inside
`keras.src.backend.jax.random`: Keras's formulas stay as they are, and `jax.random.bernoulli`, `normal` and `uniform` are
seen. Under `jit` a draw is a tracer; the traced function therefore runs inside `tracing`, and hands its draws out as
outputs and takes replayed ones in as inputs.

Import policy: JAX and Keras are imported inside functions only.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Tap
from harness.frameworks.tensorflow.tap import extreme
from harness.tape import BERNOULLI, NORMAL, UNIFORM, Draw, TapeMismatch

RULE = "u >= rate"


class Seen(NamedTuple):
    """What is known of a draw while it is traced: everything but its values."""

    kind: str
    rule: str
    keep: Optional[float]


class Trace:
    """The draws of one traced (or eagerly run) function: `seen` and `values`, in order."""

    def __init__(self, replay: Optional[Sequence[Tuple[str, Any]]]) -> None:
        self._replay = None if replay is None else list(replay)
        self.seen: List[Seen] = []
        self.values: List[Any] = []

    def __enter__(self) -> "Trace":
        _TRACES.append(self)
        return self

    def __exit__(self, *_exc: Any) -> None:
        _TRACES.remove(self)

    def take(self, seen: Seen, native: Any) -> Any:
        """Note a draw and return what is to be used: the native values, or the tape's."""
        used = native
        if self._replay is not None:
            wanted = NORMAL if seen.kind == NORMAL else BERNOULLI
            index = len(self.values)
            if index >= len(self._replay):
                raise TapeMismatch("the tape has ended, but %s%s is drawn" % (wanted, tuple(native.shape)))
            kind, taped = self._replay[index]
            if kind != wanted or tuple(taped.shape) != tuple(native.shape):
                raise TapeMismatch(
                    "drew %s%s where the tape has %s%s" % (wanted, tuple(native.shape), kind, tuple(taped.shape))
                )
            used = _as_drawn(seen.kind, taped, native)
        # A barrier, so that XLA fuses the draw with nothing and a recorded and a replayed run round alike.
        used = _barrier(used)
        self.seen.append(seen)
        self.values.append(used)
        return used


_TRACES: List[Trace] = []


def _as_drawn(kind: str, taped: Any, native: Any) -> Any:
    """The tape's decisions or normals as the framework would have drawn them."""
    import jax.numpy as jnp

    if kind != UNIFORM:
        return taped.astype(native.dtype)
    dtype = np.dtype(native.dtype)
    ends = extreme(np.asarray([False, True]), dtype)
    return jnp.where(taped.astype(bool), ends[1], ends[0])


def _barrier(value: Any) -> Any:
    import jax

    return jax.lax.optimization_barrier(value)


class KerasJaxTap(Tap):
    """Stands in for `jax` inside Keras's random module; the adapter runs Keras inside a `Trace` and then `put`s it."""

    def __init__(self, replay: Optional[Sequence[Draw]] = None) -> None:
        super().__init__(replay)
        self._module: Any = None
        self._jax: Any = None

    def __enter__(self) -> "KerasJaxTap":
        import importlib

        self._module = importlib.import_module("keras.src.backend.jax.random")
        self._jax = self._module.jax
        self._module.jax = _Standin(self._jax, _RandomStandin(self._jax.random))
        return self

    def __exit__(self, *_exc: Any) -> None:
        self._module.jax = self._jax

    def put(self, seen: Sequence[Seen], values: Sequence[Any]) -> None:
        """Record the draws of a trace that has been run; takes as many off the tape."""
        for item, array in zip(seen, values):
            params = {} if item.keep is None else {"keep": item.keep}
            self.draws.append(Draw(item.kind, np.asarray(array), item.rule, params))
        if self.replay is not None:
            del self.replay[: len(values)]


class _Standin:
    """The module `jax` with another `random`."""

    def __init__(self, module: Any, random: Any) -> None:
        self._module = module
        self.random = random

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _RandomStandin:
    """The module `jax.random`, whose draws pass through the trace; what is not known here is refused."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def bernoulli(self, *args: Any, **kwargs: Any) -> Any:
        keep = kwargs["p"] if "p" in kwargs else args[1]
        return _take(Seen(BERNOULLI, "", float(keep)), self._module.bernoulli, args, kwargs)

    def normal(self, *args: Any, **kwargs: Any) -> Any:
        return _take(Seen(NORMAL, "", None), self._module.normal, args, kwargs)

    def uniform(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("minval", 0.0) != 0.0 or kwargs.get("maxval", 1.0) != 1.0:
            raise TapeMismatch("a uniform that is not in [0, 1) is drawn: what it decides is unknown")
        return _take(Seen(UNIFORM, RULE, None), self._module.uniform, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        raise TapeMismatch("keras draws through jax.random.%s, and no dropout is known to use it" % name)


def _take(seen: Seen, native: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    if not _TRACES:
        raise TapeMismatch("a draw outside of a trace: nobody would record it")
    return _TRACES[-1].take(seen, native(*args, **kwargs))
