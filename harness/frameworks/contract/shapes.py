"""Outputs of a wrong shape, told before a gradient is taken: what was returned, what is asked for, and what explains both.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

import itertools
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

Shape = Tuple[int, ...]

#: What an exchange of the first two axes of a sequence is called.
BATCH_MAJOR = "time and batch exchanged (batch_first, time_major)?"


class WrongShape(Exception):
    """A user's code returned an output of another shape than its case asks for."""


def shape_of(value: Any) -> Optional[Shape]:
    """The shape of a framework's tensor, an array or a list; None where it is not known yet, or it is a ragged list."""
    try:
        shape = getattr(value, "shape", None)
        return tuple(int(size) for size in (np.shape(value) if shape is None else shape))
    except (TypeError, ValueError):
        return None


def compare_shapes(outputs: Mapping[str, Any], asked: Mapping[str, Sequence[int]]) -> None:
    """Raise WrongShape where an output that the case asks for has another shape; all of them in one sentence."""
    wrong: List[str] = []
    for name, wanted in asked.items():
        if name not in outputs:
            continue
        mine, want = shape_of(outputs[name]), tuple(wanted)
        if mine is not None and mine != want:
            why = explained(mine, want)
            wrong.append("%s is %s, %s is asked%s" % (name, mine, want, ": " + why if why else ""))
    if wrong:
        raise WrongShape("; ".join(wrong))


def explained(mine: Shape, want: Shape) -> str:
    """What most likely made the shape `mine` of one that should be `want`; "" where nothing does."""
    if len(mine) == len(want):
        return exchanged(mine, want)
    if len(want) == 3 and mine == (want[0], want[2]):
        return "the last step alone? the case has return_sequences: true"
    if len(mine) == 3 and want == (mine[0], mine[2]):
        return "the whole sequence? the case has no return_sequences, so y is the last step"
    if mine == want[1:]:
        return "its first axis, the batch, is missing"
    if mine == want[:-1]:
        return "its last axis, the features, is missing"
    if squeezed(mine) == squeezed(want):
        return "an axis of size 1 too %s" % ("many" if len(mine) > len(want) else "few")
    if mine[1:] == want:
        return "a leading axis too many: a sequence with time first, or torch's states (layers x directions, batch, units)?"
    return "%d axes instead of %d" % (len(mine), len(want))


def exchanged(mine: Shape, want: Shape) -> str:
    """Which axes were exchanged, or which sizes differ."""
    if len(want) >= 2 and mine == (want[1], want[0], *want[2:]):
        return BATCH_MAJOR if len(want) > 2 else "transposed?"
    for order in itertools.permutations(range(len(want))):
        if tuple(want[axis] for axis in order) == mine:
            return "axes permuted as %s?" % (order,)
    axes = [axis for axis, (own, other) in enumerate(zip(mine, want)) if own != other]
    if axes == [len(want) - 1] and mine[-1] == 2 * want[-1]:
        return "twice as many features: both directions of a bidirectional layer?"
    if axes == [len(want) - 1] and want[-1] == 2 * mine[-1]:
        return "half as many features: one direction of a bidirectional layer alone?"
    return "another size along axis %s" % " and ".join(str(axis) for axis in axes)


def squeezed(shape: Shape) -> Shape:
    """The sizes that are not 1."""
    return tuple(size for size in shape if size != 1)


def asked_of(header: Mapping[str, Any]) -> Dict[str, Shape]:
    """The shapes of the outputs that a request asks for, by name."""
    asked: Optional[Mapping[str, Sequence[int]]] = header.get("outputs")
    return {name: tuple(int(size) for size in shape) for name, shape in (asked or {}).items()}
