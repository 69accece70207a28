"""What two programs returned, side by side, within limits that come from the programs' own rounding.

The limit of an output is K S (harness.comparison.tolerance): S is the largest deviation of the first program's float64 run when
every operation is given an error of the size of one rounding. Where the first cannot be run so, the second's S serves.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from harness.comparison.tolerance import FIXED_UNITS, ILL_CONDITIONED, K
from harness.frameworks.contract.programs import Arrays, ProgramError, Trace

U = 2.0**-24


@dataclass(frozen=True)
class PairRow:
    """One array of both programs.

    name          as the first program names it.   other  as the second does.
    measured      largest difference.              limit  what rounding explains.    sensitivity  S.
    where         index of the largest difference. source whose rounding the limit comes from.
    exact         difference of the two float64 runs, where both are there; NaN elsewhere.
    shapes        the first's and the second's, where they differ: then nothing else is known of it.
    """

    name: str
    other: str
    measured: float
    limit: float
    sensitivity: float
    where: tuple[int, ...]
    source: str
    ill_conditioned: bool = False
    exact: float = float("nan")
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def passed(self) -> bool:
        """Whether rounding explains the difference."""
        return self.measured <= self.limit

    @property
    def units(self) -> float:
        """The difference in units of S."""
        return self.measured / self.sensitivity if self.sensitivity else (0.0 if self.measured == 0.0 else float("inf"))


def named_alike(mine: Arrays, theirs: Arrays, what: str = "outputs") -> dict[str, str]:
    """Which name of the second program stands for which of the first. Raises ProgramError, with both lists, where none can be."""
    if len(mine) == len(theirs) == 1:
        return dict(zip(mine, theirs, strict=True))
    if set(mine) <= set(theirs):
        return {name: name for name in mine}
    unnamed = any(name.replace(".", "").isdigit() for name in [*mine, *theirs])
    if len(mine) == len(theirs) and unnamed:
        pairs = list(zip(mine, theirs, strict=True))
        if all(mine[a].size == theirs[b].size for a, b in pairs):
            return dict(pairs)
    lost = [name for name in mine if name not in theirs]
    nearest = []
    for name in lost:
        near = difflib.get_close_matches(name, [other for other in theirs if other not in mine], n=1, cutoff=0.0)
        nearest.append(f"{name!r}" + (f" (nearest: {near[0]!r})" if near else ""))
    raise ProgramError(
        f"the {what} have other names: the first returns {_listed(mine)}; the second {_listed(theirs)}; "
        f"the second has no {', '.join(nearest)}"
    )


def _listed(arrays: Arrays) -> str:
    return ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items())


#: What is compared: the trace's fields with it, and the prefix of its sensitivities.
KINDS = {
    "output": ("outputs", "clean", ""),
    "gradient": ("gradients", "clean_gradients", "gradient/"),
    "state": ("state", "clean_state", "state/"),
}


def rows(mine: Trace, theirs: Trace, kind: str = "output", names: dict[str, str] | None = None) -> list[PairRow]:
    """Every output of the first program (or gradient, or state) against the second's. Raises ProgramError where no names
    fit.
    """
    field, clean_field, prefix = KINDS[kind]
    ours, their = getattr(mine, field), getattr(theirs, field)
    clean, other_clean = getattr(mine, clean_field), getattr(theirs, clean_field)
    found = []
    for name, other in (names if names is not None else named_alike(ours, their)).items():
        first, second = ours[name], their[other]
        if [n for n in first.shape if n != 1] == [n for n in second.shape if n != 1]:
            second = second.reshape(first.shape)
        if first.shape != second.shape:
            shapes = first.shape, second.shape
            found.append(PairRow(prefix + name, prefix + other, math.inf, 0.0, 0.0, (), "shape", shapes=shapes))
            continue
        if first.dtype.kind in "iub" and second.dtype.kind in "iub":
            found.append(_row(prefix + name, prefix + other, first, second, 0.0, "exact"))
            continue
        if name in clean:
            s, source, believed = mine.sensitivity[prefix + name], "first", clean[name]
        elif other in other_clean:
            s, source, believed = theirs.sensitivity[prefix + other], "second", np.asarray(first, dtype=np.float64)
        else:
            believed = np.asarray(first, dtype=np.float64)
            s, source = FIXED_UNITS / K * U * _largest(believed), "fixed"
        row = _row(prefix + name, prefix + other, believed, second, s, source)
        if name in clean and other in other_clean:
            row = _with_exact(row, clean[name], other_clean[other].reshape(clean[name].shape))
        found.append(row)
    return found


def _with_exact(row: PairRow, first: np.ndarray, second: np.ndarray) -> PairRow:
    return PairRow(**{**row.__dict__, "exact": float(np.max(np.abs(first - second), initial=0.0))})


def rounding(trace: Trace, name: str, believed: np.ndarray) -> float:
    """What rounding explains at an output of a program."""
    return K * max(trace.sensitivity.get(name, 0.0), U * _largest(np.asarray(believed, dtype=np.float64)))


def _largest(array: np.ndarray) -> float:
    finite = array[np.isfinite(array)]
    return float(np.max(np.abs(finite), initial=0.0))


def _row(name: str, other: str, first: np.ndarray, second: np.ndarray, s: float, source: str) -> PairRow:
    wide, narrow = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(wide - narrow)
    same = (wide == narrow) | (np.isnan(wide) & np.isnan(narrow))
    gap = np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))
    magnitude = _largest(wide)
    if source != "exact":
        # What is rounded at all is rounded at its largest element too.
        s = max(s, U * magnitude)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape)) if gap.size else ()
    ill = source != "exact" and magnitude > 0.0 and s > ILL_CONDITIONED * magnitude
    return PairRow(name, other, float(np.max(gap, initial=0.0)), K * s, s, where, source, ill)
