"""Keys that a port makes from its seed: `jax.random.key(case.seed)`, `PRNGKey`, `flax.nnx.Rngs(case.seed)`, Haiku's sequences.

`case.seed` is a whole number that is remembered as the case's through arithmetic (`case.seed + 1`), and while the port runs
`jax.random.key` and `jax.random.PRNGKey` make a key of our PRNG implementation of it, which draws the same bits. Keys of other
numbers stay JAX's own: what a layer's initialisers draw from `PRNGKey(0)` is no dropout.
"""

import contextlib
from typing import Any, Callable, Dict, Iterator

from harness.frameworks.jax.lazy import jax
from harness.frameworks.jax.tap import prng_implementation

#: The functions of `jax.random` that make a key of a whole number.
MAKERS = ("key", "PRNGKey")


class Seed(int):
    """A case's seed, or a number computed from it."""

    def __repr__(self) -> str:
        return int.__repr__(self)


def _remembering(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    def operation(self: Seed, *others: Any) -> Any:
        found = plain(self, *others)
        return Seed(found) if type(found) is int else found

    operation.__name__ = name
    return operation


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "mod", "floordiv", "xor", "rxor", "or", "and", "lshift"):
    setattr(Seed, "__%s__" % _name, _remembering("__%s__" % _name))


@contextlib.contextmanager
def keys_of_seeds(names: Dict[str, Any]) -> Iterator[None]:
    """While inside, a key made of a `Seed` is a tapped one; also by the names that a module (`names`) imported it under."""
    plain = {name: getattr(jax.random, name) for name in MAKERS}
    places = [(jax.random.__dict__, name, maker) for name, maker in plain.items()]
    places += [(names, name, value) for name, value in names.items() if any(value is maker for maker in plain.values())]
    for where, name, maker in places:
        where[name] = _tapping(maker)
    try:
        yield
    finally:
        for where, name, maker in places:
            where[name] = maker


def _tapping(maker: Callable[..., Any]) -> Callable[..., Any]:
    plain = jax.random.key

    def make(seed: Any, **kwargs: Any) -> Any:
        if isinstance(seed, Seed) and kwargs.get("impl") is None:
            return plain(int(seed), impl=prng_implementation())
        return maker(seed, **kwargs)

    return make
