"""The tap at JAX's random border: the place where `jax.random` asks a PRNG implementation for bits.

A key of our own PRNG implementation (`jax.extend.random.define_prng_impl`; its bits are threefry's, so that a run draws
exactly what plain keys draw) marks the draws that count: Flax, Equinox and `jax.random` split it, fold data into it
and carry it through `jit`, `vmap`, `scan` and `grad`, and wherever it reaches the primitive `random_bits` the traced program
(`program`) hands the bits out as a result, or takes them from the tape as an argument. No callbacks: the
program stays pure, one compiled function serves every seed and every tape, the order of draws is the order of the
program, and what is traced twice or computed again in a backward pass still counts once.

What is bit-exact: recorded uniforms are the floats that `jax.random.uniform` makes of the bits. A replayed decision
becomes the bits of the smallest u (kept) or of the greatest (dropped), which decides so for every keep probability p with
0 < p <= greatest u of the dtype (1 - 2**-23 in float32, 1 - 2**-7 in bfloat16). A replayed standard normal replaces the
result of `jax.random.normal` itself, rounded to the dtype drawn, because no bits could express it. The arithmetic that follows is
the same, but not its rounding: a program that is given its draws is compiled anew, and the compiler may fuse it otherwise (it
joins the factor sqrt(2) of a normal that it draws with the factors that follow, for one).
"""

import re
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from harness.frameworks.contract.adapter import Tap
from harness.frameworks.jax.lazy import jax, jnp
from harness.tape import BERNOULLI, NORMAL, Draw, TapeMismatch, deciding_uniforms

#: How `jax.random.bernoulli` decides.
KEEP_RULE = "u < keep"

#: Bits that a draw takes from the implementation: the float dtype, its size and its stored mantissa bits.
_FLOATS = {8: ("bfloat16", 7), 16: ("float16", 10), 32: ("float32", 23), 64: ("float64", 52)}


class Loop(NamedTuple):
    """A `scan` that a draw is in: the array of its draws has an axis of that length."""

    length: int
    reverse: bool


class Leaf(NamedTuple):
    """One place in a program that draws: `uniform` (with the bits an element takes) or `normal`; dtype and shape of one draw.

    path    where it stands: the numbers of the equations around it, outermost first, and after a loop's number the loop.
    scope   the name scopes that it is in, outermost first, where one of them names a site (`site_scope`); else "".
    """

    kind: str
    width: int
    dtype: str
    shape: Tuple[int, ...]
    path: Tuple[Union[int, Loop], ...] = ()
    scope: str = ""

    @property
    def steps(self) -> Tuple[int, ...]:
        """The lengths of the loops that it is in, the axes that all its draws have in front; outermost first."""
        return tuple(part.length for part in self.path if isinstance(part, Loop))

    def moment(self, steps: Sequence[int]) -> List[int]:
        """When it draws in these steps of its loops: of two draws of a program the earlier one has the smaller moment."""
        left = iter(steps)
        taken = [part if isinstance(part, int) else next(left) for part in self.path]
        last = [part.length - 1 if isinstance(part, Loop) and part.reverse else 0 for part in self.path]
        return [abs(end - step) for step, end in zip(taken, last)]


_IMPLEMENTATION: List[Any] = []
_KEY_DTYPE: List[Any] = []


def prng_implementation() -> Any:
    """The PRNG implementation whose keys are tapped: threefry2x32 under another name."""
    if not _IMPLEMENTATION:
        from jax.extend.random import define_prng_impl

        plain = "threefry2x32"
        words = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32, 64: jnp.uint64}

        def wrap(data: Any) -> Any:
            return jax.random.wrap_key_data(data, impl=plain)

        _IMPLEMENTATION.append(
            define_prng_impl(
                name="harness_tap",
                tag="tap",
                key_shape=(2,),
                seed=lambda seed: jax.random.key_data(jax.random.key(seed, impl=plain)),
                split=lambda data, shape: jax.random.key_data(jax.random.split(wrap(data), shape)),
                fold_in=lambda data, word: jax.random.key_data(jax.random.fold_in(wrap(data), word)),
                random_bits=lambda data, width, shape: jax.random.bits(wrap(data), shape, words[width]),
            )
        )
    return _IMPLEMENTATION[0]


def key(seed: int) -> Any:
    """The tapped key of a seed; it draws what `jax.random.key(seed)` draws."""
    return jax.random.key(seed, impl=prng_implementation())


def is_tapped(aval: Any) -> bool:
    """Whether an abstract value is a key (or an array of keys) of the tapped implementation."""
    if not _KEY_DTYPE:
        _KEY_DTYPE.append(jax.eval_shape(key, 0).dtype)
    return bool(getattr(aval, "dtype", None) == _KEY_DTYPE[0])


def program_order(leaves: Sequence[Leaf]) -> List[Tuple[int, Tuple[int, ...]]]:
    """Every single draw in the order it happens: (number of the leaf, index into its array's loop axes)."""
    draws = [(number, index) for number, leaf in enumerate(leaves) for index in np.ndindex(*leaf.steps)]
    return sorted(draws, key=lambda draw: leaves[draw[0]].moment(draw[1]))


def scalar_type(name: str) -> Any:
    """NumPy's scalar type of a float dtype's name; bfloat16 is that of ml_dtypes, which jax brings along."""
    if name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return np.dtype(name).type


def uniform_from_bits(bits: np.ndarray, width: int) -> np.ndarray:
    """The floats in [0, 1) that `jax.random.uniform` makes of these bits: the top mantissa bits over 2**mantissa."""
    name, mantissa = _FLOATS[width]
    words = np.asarray(bits) >> np.asarray(bits).dtype.type(width - mantissa if width > 8 else 1)
    return np.asarray((words.astype(np.float64) * 2.0**-mantissa).astype(scalar_type(name)))


def bits_of_uniforms(uniforms: np.ndarray, width: int) -> np.ndarray:
    """Bits that `uniform_from_bits` turns into these numbers, each cut to the mantissa."""
    word, mantissa = np.dtype("uint%d" % width).type, _FLOATS[width][1]
    return np.asarray((uniforms * 2.0**mantissa).astype(word) << word(width - mantissa))


def bits_of_decisions(kept: np.ndarray, width: int, rate: Optional[float] = None) -> np.ndarray:
    """Bits that decide `u < p` so: for every p in range all zero (u = 0) where kept, all one (greatest u) elsewhere.

    rate  so for p = 1 - rate, and otherwise for others (harness.tape.deciding_uniforms).
    """
    word = np.dtype("uint%d" % width).type
    if rate is None:
        return np.asarray(np.where(kept, word(0), word(2**width - 1)), dtype=word)

    def stored(inner: np.ndarray) -> np.ndarray:
        return uniform_from_bits(bits_of_uniforms(inner, width), width)

    top = 1.0 - 2.0 ** -_FLOATS[width][1]
    return bits_of_uniforms(deciding_uniforms(kept, KEEP_RULE, rate, top, stored), width)


_SITE = re.compile(r"harness-site:([^:;]*):([^:;]*);")


def site_scope(at: str, axes: Optional[Sequence[str]]) -> str:
    """The name scope (`jax.named_scope`) that says of the draws inside which site's they are, and how their axes lie."""
    return "harness-site:%s:%s;" % (at, ",".join(axes or ()))


def site_of(scope: str) -> Optional[Tuple[str, Optional[Tuple[str, ...]]]]:
    """The innermost site of a scope, with its axes where they were named; None where no site is named."""
    found = _SITE.findall(scope)
    if not found:
        return None
    at, axes = found[-1]
    return at, tuple(axes.split(",")) if axes else None


class JaxTap(Tap):
    """Records and replays the draws of the programs that are run with it (see `program.Program`).

    scopes   for every draw, the name scopes that it was made in (Leaf.scope).
    """

    def __init__(self, replay: Optional[Sequence[Draw]] = None) -> None:
        super().__init__(replay)
        self.scopes: List[str] = []

    def arguments(self, leaves: Sequence[Leaf]) -> Optional[List[np.ndarray]]:
        """The arrays that a program takes instead of drawing, one a leaf; None: it draws. Raises TapeMismatch."""
        if self.replay is None:
            return None
        arrays = [np.zeros(leaf.steps + leaf.shape, scalar_type(leaf.dtype)) for leaf in leaves]
        for number, index in program_order(leaves):
            leaf = leaves[number]
            draw = self.next_replay(NORMAL if leaf.kind == NORMAL else BERNOULLI, leaf.shape)
            if leaf.kind == NORMAL:
                arrays[number][index] = np.asarray(draw.values).astype(arrays[number].dtype)
            else:
                kept = np.asarray(draw.values, dtype=bool)
                arrays[number][index] = bits_of_decisions(kept, leaf.width, draw.params.get("rate"))
        return arrays

    def record(self, leaves: Sequence[Leaf], arrays: Sequence[Any]) -> None:
        """Append what a program drew, in the order of the program; `arrays` are bits or normals, one a leaf."""
        if len(leaves) != len(arrays):
            raise TapeMismatch("a program of %d draws gave %d" % (len(leaves), len(arrays)))
        values = [
            np.asarray(array) if leaf.kind == NORMAL else uniform_from_bits(np.asarray(array), leaf.width)
            for leaf, array in zip(leaves, arrays)
        ]
        for number, index in program_order(leaves):
            kind = leaves[number].kind
            rule, params = ("", {"mean": 0.0, "stddev": 1.0}) if kind == NORMAL else (KEEP_RULE, {})
            self.draws.append(Draw(kind, np.asarray(values[number][index]), rule, params))
            self.scopes.append(leaves[number].scope)
