"""The first program's parameters in the second: which is which, by name and shape, and turned where layouts differ.

The likeliest assignment is that with the best sum of scores (the Hungarian method). A score has what the parameter is (kernel,
bias, mean, variance, table), how alike the paths are, and whether both stand at the same place in their program. A mapping can be
written to a file, corrected, and used again.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import Place, Problem, UserError, did_you_mean
from harness.frameworks.contract.own_files import TargetError, load
from harness.frameworks.contract.programs import Arrays

#: What a parameter is, by the last word of its name.
ROLES = {
    **dict.fromkeys(("weight", "kernel", "scale", "gamma", "w"), "weight"),
    **dict.fromkeys(("bias", "beta", "b"), "bias"),
    **dict.fromkeys(("embedding", "embeddings"), "weight"),
    **dict.fromkeys(("running_mean", "moving_mean", "mean"), "mean"),
    **dict.fromkeys(("running_var", "moving_variance", "var", "variance"), "variance"),
}
#: Orders of axes from the one framework's layout into the other's, by rank: dense, convolutions (out, in, …) and (…, in, out).
TURNS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((1, 0),),
    3: ((2, 1, 0),),
    4: ((2, 3, 1, 0), (3, 2, 0, 1)),
    5: ((2, 3, 4, 1, 0), (4, 3, 0, 1, 2)),
}
#: Names by which frameworks that keep (in, out) call what others keep as (out, in).
TURNED_NAMES = ("kernel",)
#: torch's recurrent layers add two biases to their gates, where other frameworks have one.
TWO_BIASES = re.compile(r"(.*bias_)(ih|hh)(.*)")
TWIN = {"ih": "hh", "hh": "ih"}
WORST = 1e6


@dataclass(frozen=True)
class Source:
    """Where a parameter of the second program comes from: one of the first's, its axes in another order where `axes` is given.

    No name: it is zero, as the second of two biases that are added, where the first program has one.
    """

    name: str
    axes: tuple[int, ...] | None = None

    def of(self, mine: Arrays, shape: tuple[int, ...]) -> Any:
        """The array as the second program takes it."""
        if not self.name:
            return np.zeros(shape, np.float32)
        array = mine[self.name]
        return np.ascontiguousarray(array if self.axes is None else np.transpose(array, self.axes)).reshape(shape)

    def __str__(self) -> str:
        if not self.name:
            return "zeros"
        return self.name if self.axes is None else f"{self.name} transposed {list(self.axes)}"


@dataclass(frozen=True)
class WeightMap:
    """Sources by the second's names; what of either has no partner."""

    sources: dict[str, Source]
    unmapped: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def bring(self, mine: Arrays, theirs: Arrays) -> Arrays:
        """The first's parameters as the second's."""
        return {name: source.of(mine, theirs[name].shape) for name, source in self.sources.items()}


def propose(mine: Arrays, theirs: Arrays) -> WeightMap:
    """The likeliest mapping."""
    from scipy.optimize import linear_sum_assignment

    ours, others = list(mine), list(theirs)
    if not ours or not others:
        return WeightMap({}, tuple(others), tuple(ours))
    cost = np.full((len(others), len(ours)), WORST)
    for row, other in enumerate(others):
        for column, name in enumerate(ours):
            if _ways(name, mine[name].shape, other, theirs[other].shape):
                near = abs(row / len(others) - column / len(ours))
                cost[row, column] = -(_alike(name, other) - near)
    rows, columns = linear_sum_assignment(cost)
    sources: dict[str, Source] = {}
    for row, column in zip(rows, columns, strict=True):
        if cost[row, column] < WORST:
            name, other = ours[column], others[row]
            sources[other] = Source(name, _ways(name, mine[name].shape, other, theirs[other].shape)[0])
    for other in others:
        both = TWO_BIASES.fullmatch(other)
        if both and other not in sources and both[1] + TWIN[both[2]] + both[3] in sources:
            sources[other] = Source("")
    used = {source.name for source in sources.values()}
    return WeightMap(
        sources, tuple(o for o in others if o not in sources), tuple(name for name in ours if name not in used)
    )


def _ways(name: str, shape: tuple[int, ...], other: str, wanted: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    """How an array of a shape can be another's: as it is, or turned; the likelier first."""
    found: list[tuple[int, ...] | None] = []
    if shape == wanted:
        found.append(None)
    found += [axes for axes in TURNS.get(len(shape), ()) if tuple(shape[axis] for axis in axes) == wanted]
    turned = any(word in name.lower() for word in TURNED_NAMES) != any(word in other.lower() for word in TURNED_NAMES)
    return sorted(found, key=lambda axes: (axes is None) == turned)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[./]|(?<=[a-z])_?(?=\d)", name.lower()) if word]


def _alike(name: str, other: str) -> float:
    first, second = _words(name), _words(other)
    role = 2.0 if ROLES.get(first[-1], first[-1]) == ROLES.get(second[-1], second[-1]) else 0.0
    exact = 4.0 if name == other else 0.0
    return role + exact + 2.0 * difflib.SequenceMatcher(None, ".".join(first[:-1]), ".".join(second[:-1])).ratio()


def as_text(mapping: WeightMap) -> str:
    """A mapping as JSON, for a person to correct."""
    entries = {
        name: source.name or 0 if source.axes is None else {"from": source.name, "axes": list(source.axes)}
        for name, source in mapping.sources.items()
    }
    return json.dumps(entries, indent=1) + "\n"


def read(file: Path, mine: Arrays, theirs: Arrays) -> WeightMap:
    """A mapping that was written, checked against both programs. Raises UserError with every entry that is wrong."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(Problem(f"is no mapping: {error}", Place(str(file)))) from None
    problems, sources = [], {}
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if entry == 0 and name in theirs:
            sources[name] = Source("")
            continue
        given = entry if isinstance(entry, Mapping) else {"from": entry}
        source, axes = str(given.get("from")), given.get("axes")
        if name not in theirs:
            problems.append(
                Problem(f"the second has no such parameter{did_you_mean(name, theirs)}", Place(str(file)), name)
            )
        elif source not in mine:
            problems.append(Problem(f"the first has no {source!r}{did_you_mean(source, mine)}", Place(str(file)), name))
        elif axes is not None and sorted(axes) != list(range(mine[source].ndim)):
            problems.append(Problem(f"axes {axes} are no order of {mine[source].ndim} axes", Place(str(file)), name))
        elif mine[source].size != theirs[name].size:
            message = f"{source} has shape {mine[source].shape}, {name} {theirs[name].shape}"
            problems.append(Problem(message, Place(str(file)), name))
        else:
            sources[name] = Source(source, None if axes is None else tuple(axes))
    if problems or not isinstance(entries, Mapping):
        raise UserError(problems or Problem("is no mapping of names", Place(str(file))))
    used = {source.name for source in sources.values()}
    return WeightMap(sources, tuple(n for n in theirs if n not in sources), tuple(n for n in mine if n not in used))


def converter(how: str) -> Any:
    """`own`, `auto` or a mapping's path as they are; `file.py:function` as a function. Raises UserError for none of them."""
    file, _, name = how.rpartition(":")
    if file.endswith(".py") and name:
        if not Path(file).is_file():
            raise UserError(Problem("there is no such file", Place(file)))
        try:
            return load(how)
        except TargetError as error:
            raise UserError(f"{error}\n{error.detail}".rstrip()) from None
    if how not in ("own", "auto") and not Path(how).is_file():
        near = did_you_mean(how, ("own", "auto"))
        raise UserError(Problem(f"{how!r} is no file, and neither own nor auto{near}", path="--weights"))
    return how
