"""Pairs from Python and pytest: `harness.pair(a, b, inputs=…)` and `harness.assert_parity(a, b, inputs=…)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import UserError
from harness.frameworks.contract.programs import ProgramError
from harness.pairs import report
from harness.pairs.compare import PairResult, Weights, compare, in_memory
from harness.pairs.sides import running, side


def pair(
    first: Any,
    second: Any,
    *,
    inputs: Mapping[str, Any],
    seeds: Sequence[int] = (0, 1),
    modes: Sequence[str] = ("eval", "train"),
    gradients: bool = True,
    weights: Weights = "own",
) -> PairResult:
    """Compare two programs: `first` is believed, and its draws are replayed in `second`.

    first, second  models, functions, or texts `file.py:name`. Objects are called in this process; a model is put back afterwards
                   into the state it had before.
    inputs         arrays or tensors by name.
    weights        "own": each has its own; "auto": the first's are brought into the second; the path of a mapping; or a function
                   of the first's parameters by name that returns the second's.
    Raises UserError where a program cannot be called, with its own traceback lines, or where results have no names in common.
    """
    names = [_name(first, "the first"), _name(second, "the second")]
    if names[0] == names[1]:
        names = [f"{names[0]} (first)", f"{names[1]} (second)"]
    sides = side(first, names[0]), side(second, names[1])
    with running(*sides):
        try:
            arrays = in_memory(dict(inputs))
            return compare(*sides, arrays, seeds=seeds, modes=modes, gradients=gradients, weights=weights)
        except ProgramError as error:
            raise UserError(f"{error}\n{error.detail}".rstrip()) from None


def assert_pair(first: Any, second: Any, **options: Any) -> PairResult:
    """`pair`, and AssertionError with the report where the programs differ."""
    __tracebackhide__ = True  # pytest shows the caller's line
    result = pair(first, second, **options)
    if not result.passed:
        raise AssertionError("\n".join(report.lines(result)))
    return result


def _name(thing: Any, otherwise: str) -> str:
    if isinstance(thing, str):
        return thing
    return str(getattr(thing, "__name__", "") or type(thing).__name__ or otherwise)
