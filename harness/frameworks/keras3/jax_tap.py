"""The tap for Keras 3 on its JAX backend: what Keras's own backend random module asks of `jax.random`.

Keras passes raw uint32 keys, which a PRNG implementation of our own cannot wrap, so the border is the name `jax` inside
`keras.src.backend.jax.random`: Keras's formulas stay as they are, and `jax.random.bernoulli`, `normal` and `uniform` are
seen. Under `jit` a draw is a tracer; the traced function therefore runs inside `tracing`, and hands its draws out as
outputs and takes replayed ones in as inputs.

Import policy: JAX and Keras are imported inside functions only.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from harness.frameworks.contract.adapter import Tap, draw_of
from harness.frameworks.keras3.jax_keys import random_module
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

    def __init__(self, replay: Optional[Sequence[Draw]]) -> None:
        self._replay = replay
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
            draw = draw_of(self._replay, len(self.values), wanted, native.shape)
            used = _as_drawn(seen.kind, draw.values, native)
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

    def __enter__(self) -> "KerasJaxTap":
        self._border = random_module(_RandomStandin)
        self._border.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._border.__exit__(*exc)

    def put(self, seen: Sequence[Seen], values: Sequence[Any]) -> None:
        """Record the draws of a trace that has been run; takes as many off the tape."""
        for item, array in zip(seen, values):
            params = {} if item.keep is None else {"keep": item.keep}
            self.draws.append(Draw(item.kind, np.asarray(array), item.rule, params))
        if self.replay is not None:
            del self.replay[: len(values)]


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
