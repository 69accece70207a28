"""Over which axes is one mask shared? Measured, with the probability that an unshared mask looks shared by luck."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SharedAxes:
    """What a mask says about its axes; every axis is in exactly one of the three tuples.

    shared: constant along it, and luck is no explanation. distinct: it varies along the axis. undecidable: constant,
    but an unshared mask would be too with a probability above the level (always so for axes of size 1). luck: that
    probability for each constant axis.
    """

    shared: tuple[int, ...]
    distinct: tuple[int, ...]
    undecidable: tuple[int, ...]
    luck: dict[int, float] = field(default_factory=dict)


def shared_axes(decisions: NDArray[Any], rate: float | None = None, level: float = 1e-9) -> SharedAxes:
    """Tell over which axes the decisions are constant.

    decisions: the mask as it was applied, bool, any shape. rate: the probability of a drop, for the luck; None: the
    measured share. A line of s independent decisions is constant with probability rate**s + (1 - rate)**s, and there
    are as many independent lines as the axes that do vary have elements. A constant mask (rate 0 or 1) decides nothing.
    """
    mask = np.asarray(decisions, dtype=bool)
    if mask.size == 0:
        return SharedAxes((), (), tuple(range(mask.ndim)), dict.fromkeys(range(mask.ndim), 1.0))
    constant = [axis for axis in range(mask.ndim) if bool((mask == mask.take([0], axis=axis)).all())]
    distinct = tuple(axis for axis in range(mask.ndim) if axis not in constant)
    lines = int(np.prod([mask.shape[axis] for axis in distinct], dtype=np.int64))
    drop = float(1.0 - mask.mean()) if rate is None else rate
    luck = {}
    for axis in constant:
        size = mask.shape[axis]
        luck[axis] = (drop**size + (1.0 - drop) ** size) ** lines if size > 1 else 1.0
    return SharedAxes(
        tuple(axis for axis in constant if luck[axis] <= level),
        distinct,
        tuple(axis for axis in constant if luck[axis] > level),
        luck,
    )
