"""Watches a JAX program: its jaxpr evaluated equation by equation, its draws recorded or given, every value followed in float64.

`jit`, `scan`, `cond`, `while`, `checkpoint` and functions with rules of their own are opened, a scan step by step: the values
are there, so a branch is the one that is taken. Beside every float lie *shadows*: the same in float64, and in float64 with an
error of the size of one rounding at every operation. What decides (comparisons, indices) is the program's own.

A draw is what `jax.random.uniform` and `jax.random.normal` make, whole; bits that are used otherwise are known by their values. A
uniform is followed through additions of a number to the comparison or the floor that makes a decision of it.
"""

import math
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from harness.formats import noise_size
from harness.frameworks.contract.programs import DECISION, NORMAL, UNIFORM, Drawn, Step, compared, fingerprint
from harness.frameworks.jax.equations import (
    CALLS,
    COMPARED,
    EXACT,
    LIBRARY,
    MOVES,
    NORMAL_FUNCTION,
    PRODUCTS,
    UNIFORM_FUNCTION,
    bind,
    bind_wide,
    evaluate_plain,
    is_float,
    line,
    plain_scope,
    takes_key,
)
from harness.frameworks.jax.program import live
from harness.tape import TapeMismatch


class Value(NamedTuple):
    """A value of the program, its shadows (None: it is what it is), the operation it comes from, and the uniform that it is."""

    real: Any
    shadows: Optional[List[Any]] = None
    step: int = -1
    uniform: Optional[Tuple[int, float]] = None


class Watcher:
    """Evaluates a jaxpr and writes down what it does.

    tape    draws to give instead.    noise  shadows with rounding noise beside the plain one; -1: none at all.
    values  whether results are fingerprinted.
    """

    def __init__(self, tape: Optional[Sequence[Drawn]], noise: int, values: bool) -> None:
        self.draws: List[Drawn] = []
        self.steps: List[Step] = []
        self.prints: List[np.ndarray] = []
        self.clean: List[np.ndarray] = []
        self.spread: List[float] = []
        self.lost: Dict[str, None] = {}
        self.count = noise + 1
        self.values = values
        self.tape = None if tape is None else list(tape)
        self.taken = 0
        self._outer = ("", "")
        self.generators = [np.random.RandomState(977 + number) for number in range(noise)]

    def evaluate(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Value], scope: str = "") -> List[Value]:
        """The results of a jaxpr. Raises TapeMismatch where it draws otherwise than the tape."""
        environment: Dict[Any, Value] = {}
        environment.update(zip(jaxpr.constvars, (Value(const) for const in consts)))
        environment.update(zip(jaxpr.invars, arguments))

        def read(atom: Any) -> Value:
            return Value(atom.val) if hasattr(atom, "val") else environment[atom]

        for eqn in live(jaxpr):
            inner = "/".join(part for part in (scope, plain_scope(str(eqn.source_info.name_stack))) if part)
            environment.update(zip(eqn.outvars, self._equation(eqn, [read(atom) for atom in eqn.invars], inner)))
        return [read(atom) for atom in jaxpr.outvars]

    def finished(self) -> None:
        """Raise TapeMismatch where the program drew less than the tape holds."""
        if self.tape is not None and self.taken < len(self.tape):
            raise TapeMismatch("drew %d times where the tape has %d draws" % (self.taken, len(self.tape)))

    def _equation(self, eqn: Any, given: List[Value], scope: str) -> List[Value]:
        name, params = eqn.primitive.name, eqn.params
        if name in ("jit", "pjit") and params.get("name") in (UNIFORM_FUNCTION, NORMAL_FUNCTION) and takes_key(eqn):
            return [self._draw(eqn, given, scope, params["name"])]
        if name == "random_bits":
            return [self._bits(eqn, given, scope)]
        closed = params.get("jaxpr", params.get("call_jaxpr", params.get("fun_jaxpr"))) if name in CALLS else None
        if closed is not None:
            return self._opened(eqn, closed, given, scope)
        if name == "scan":
            return self._scan(params, given, scope)
        if name == "cond":
            branch = params["branches"][int(np.clip(int(given[0].real), 0, len(params["branches"]) - 1))]
            return self.evaluate(branch.jaxpr, branch.consts, given[1:], scope)
        if name == "while":
            return self._while(params, given, scope)
        return self._operation(eqn, name, given, scope)

    def _opened(self, eqn: Any, closed: Any, given: List[Value], scope: str) -> List[Value]:
        """A call's results. JAX keeps the trace of a jitted function with the lines of its first caller: of a library's own the
        caller's line counts.
        """
        outer, called = self._outer, str(eqn.params.get("name", ""))
        if called.startswith("_") or called in LIBRARY:
            self._outer = self._line(eqn)
        try:
            return self.evaluate(getattr(closed, "jaxpr", closed), getattr(closed, "consts", ()), given, scope)
        finally:
            self._outer = outer

    def _line(self, eqn: Any) -> Tuple[str, str]:
        return self._outer if self._outer[0] else line(eqn)

    def _scan(self, params: Dict[str, Any], given: List[Value], scope: str) -> List[Value]:
        import jax.numpy as jnp

        first, second = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, carry, sequences = given[:first], given[first:second], given[second:]
        closed = params["jaxpr"]
        steps = range(params["length"])
        rows: List[List[Value]] = []
        for step in reversed(steps) if params["reverse"] else steps:
            slices = [
                value._replace(
                    real=value.real[step],
                    shadows=None if value.shadows is None else [shadow[step] for shadow in value.shadows],
                )
                for value in sequences
            ]
            found = self.evaluate(closed.jaxpr, closed.consts, [*consts, *carry, *slices], scope)
            carry = found[: params["num_carry"]]
            rows.append(found[params["num_carry"] :])
        if params["reverse"]:
            rows.reverse()
        stacked = []
        for column in zip(*rows):
            shadows = None
            if self.count and any(value.shadows is not None for value in column):
                shadows = [np.stack([self._shadow(value, number) for value in column]) for number in range(self.count)]
            stacked.append(Value(jnp.stack([v.real for v in column]), shadows, max(v.step for v in column)))
        return [*carry, *stacked]

    def _while(self, params: Dict[str, Any], given: List[Value], scope: str) -> List[Value]:
        n, m = params["cond_nconsts"], params["body_nconsts"]
        test, body, carry = given[:n], given[n : n + m], given[n + m :]
        condition, closed = params["cond_jaxpr"], params["body_jaxpr"]
        while bool(self.evaluate(condition.jaxpr, condition.consts, [*test, *carry], scope)[0].real):
            carry = self.evaluate(closed.jaxpr, closed.consts, [*body, *carry], scope)
        return carry

    def _next(self, shape: Sequence[int], what: str) -> Optional[Drawn]:
        if self.tape is None:
            return None
        if self.taken >= len(self.tape):
            raise TapeMismatch("draws %s %s, after all %d draws of the tape" % (what, tuple(shape), len(self.tape)))
        given = self.tape[self.taken]
        self.taken += 1
        if given.shape != tuple(shape):
            words = (self.taken - 1, what, tuple(shape), given.kind, given.shape)
            raise TapeMismatch("draw %d is %s %s where the tape has %s%s" % words)
        return given

    def _draw(self, eqn: Any, given: List[Value], scope: str, function: str) -> Value:
        """A uniform or a normal of jax.random, whole."""
        import jax.numpy as jnp

        closed = eqn.params["jaxpr"]
        aval = eqn.outvars[0].aval
        shape, dtype = tuple(int(size) for size in aval.shape), aval.dtype.name
        taken = self._next(shape, "a uniform" if function == UNIFORM_FUNCTION else "a normal")
        low, high = 0.0, 1.0
        if function == UNIFORM_FUNCTION and len(given) >= 3:
            low, high = (float(np.asarray(value.real).ravel()[0]) for value in given[1:3])
        if taken is None:
            drawn = evaluate_plain(closed, [value.real for value in given])[0]
        elif taken.kind == DECISION:
            top = 1.0 - {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23}.get(dtype, 2.0**-52)
            ends = (0.0, top) if taken.rule == "u <" else (top, 0.0)
            drawn = jnp.asarray(low + (high - low) * np.where(taken.values, *ends), aval.dtype)
        else:
            drawn = jnp.asarray(low + (high - low) * np.asarray(taken.values, np.float64), aval.dtype)
            if function == NORMAL_FUNCTION:
                drawn = jnp.asarray(np.asarray(taken.values), aval.dtype)
        kind = UNIFORM if function == UNIFORM_FUNCTION else NORMAL
        values = np.asarray(drawn).astype(np.float64)
        if kind == UNIFORM:
            values = (values - low) / ((high - low) or 1.0)
        self._note(kind, values, eqn, scope, dtype)
        plain = kind == UNIFORM and (low, high) == (0.0, 1.0)
        return Value(drawn, None, -1, (len(self.draws) - 1, 0.0) if plain else None)

    def _bits(self, eqn: Any, given: List[Value], scope: str) -> Value:
        import jax.numpy as jnp

        drawn = bind(eqn, [value.real for value in given])[0]
        taken = self._next(tuple(drawn.shape), "bits")
        if taken is not None:
            drawn = jnp.asarray(np.asarray(taken.values), drawn.dtype)
        self._note("bits", np.asarray(drawn), eqn, scope, drawn.dtype.name)
        return Value(drawn)

    def _note(self, kind: str, values: np.ndarray, eqn: Any, scope: str, dtype: str) -> None:
        place, source = self._line(eqn)
        self.draws.append(Drawn(kind, values, math.nan, "", scope, place, source, dtype, len(self.steps)))

    def _operation(self, eqn: Any, name: str, given: List[Value], scope: str) -> List[Value]:
        import jax.numpy as jnp

        reals = bind(eqn, [value.real for value in given])
        steps = tuple(dict.fromkeys(value.step for value in given if value.step >= 0))
        floats = [hasattr(real, "dtype") and jnp.issubdtype(real.dtype, jnp.floating) for real in reals]
        shadows: List[Optional[List[Any]]] = [None] * len(reals)
        if self.count and any(floats) and any(is_float(value.real) for value in given):
            shadows = self._follow(eqn, name, given, reals, floats)
        uniform = self._uniform(name, given, reals[0])
        last = max(steps, default=-1)
        if floats[0] and name not in MOVES and uniform is None and given:
            place, source = self._line(eqn)
            first = reals[0]
            last = len(self.steps)
            self.steps.append(
                Step(name, tuple(int(n) for n in first.shape), steps, scope, place, source, first.dtype.name)
            )
            if self.values:
                self._measure(Value(first, shadows[0]))
        return [
            Value(real, shadow, last, uniform if number == 0 else None)
            for number, (real, shadow) in enumerate(zip(reals, shadows))
        ]

    def _measure(self, value: Value) -> None:
        self.prints.append(fingerprint(np.asarray(value.real)))
        if self.count:
            clean = fingerprint(self._shadow(value, 0))
            self.clean.append(clean)
            gaps = [np.abs(fingerprint(self._shadow(value, number)) - clean) for number in range(1, self.count)]
            spread = max((float(np.max(gap)) for gap in gaps), default=0.0)
            self.spread.append(spread if math.isfinite(spread) else math.inf)

    def _uniform(self, name: str, given: List[Value], result: Any) -> Optional[Tuple[int, float]]:
        """What becomes of a uniform: moved, shifted by a number, or decided from."""
        at = next((number for number, value in enumerate(given) if value.uniform is not None), None)
        if at is None:
            return None
        assert given[at].uniform is not None
        number, offset = given[at].uniform  # type: ignore[misc]
        other = None
        if len(given) == 2:
            values = np.asarray(given[1 - at].real).astype(np.float64).ravel()
            other = float(values[0]) if values.size and np.all(values == values[0]) else None
        if name in MOVES:
            return number, offset
        if name == "add" and other is not None:
            return number, offset + other
        if name == "sub" and other is not None and at == 0:
            return number, offset - other
        decided = np.asarray(result)
        if name in COMPARED and other is not None:
            rule, p = compared(COMPARED[name], at, offset, other)
            self._decide(number, decided, p, rule)
        elif name == "floor":
            self._decide(number, decided >= 1, offset, "floor(p + u)")
        return None

    def _decide(self, number: int, values: np.ndarray, p: float, rule: str) -> None:
        if self.draws[number].kind == UNIFORM and values.shape == self.draws[number].shape:
            self.draws[number] = self.draws[number]._replace(kind=DECISION, values=values, p=p, rule=rule)

    def _shadow(self, value: Value, number: int) -> np.ndarray:
        if value.shadows is None:
            return np.asarray(value.real).astype(np.float64) if is_float(value.real) else np.asarray(value.real)
        return np.asarray(value.shadows[number])

    def _follow(
        self, eqn: Any, name: str, given: List[Value], reals: List[Any], floats: List[bool]
    ) -> List[Optional[List[Any]]]:
        """The operation again on the shadows."""
        found: List[Optional[List[Any]]] = [[] if wanted else None for wanted in floats]
        u = noise_size(reals[floats.index(True)].dtype.name)
        try:
            for number in range(self.count):
                inputs = [self._shadow(v, number) if is_float(v.real) else v.real for v in given]
                made = bind_wide(eqn, inputs)
                if number > 0 and name not in EXACT:
                    size = made
                    if name in PRODUCTS:
                        size = bind_wide(eqn, [np.abs(item) if is_float(item) else item for item in inputs])
                    noise = self.generators[number - 1]
                    made = [
                        item + u * noise.uniform(-1, 1, np.shape(item)) * np.abs(amount) if is_float(item) else item
                        for item, amount in zip(made, size)
                    ]
                for position, shadows in enumerate(found):
                    if shadows is not None:
                        shadows.append(np.asarray(made[position], np.float64))
        except Exception as error:
            self.lost.setdefault("%s: %s" % (name, str(error).split("\n")[0][:120]))
            return [None] * len(reals)
        return found
