"""Draws that nothing depends on: a layer may draw more masks than it uses.

tf_keras and Keras draw an input mask for each gate and use the first one alone where one matrix product serves all gates
(implementation 2, https://keras.io/api/layers/recurrent_layers/lstm/). By their shapes those are a mask for every gate. Which of
the draws matter is measured: the program runs on a tape, and once more for each draw with that one draw's complement.
"""

from typing import Any, Callable, Dict, FrozenSet, List, Sequence, Set

import numpy as np

from harness.noises import Site
from harness.tape import BERNOULLI, NORMAL, Draw, Slot

#: More draws than this are not asked one by one: each costs a run.
MOST = 16
#: A part of the largest value: what other rounding changes is far below it, what another mask changes far above.
SAME = 1e-4

Arrays = Dict[str, np.ndarray]


def one_a_gate(slots: Sequence[Slot], sites: Sequence[Site]) -> List[Set[int]]:
    """The draws of each site that by their shapes are one for every gate."""
    found = []
    for site in sites:
        gates = dict(zip(site.axes, site.full)).get("gates", 1)
        mine = {number for number, slot in enumerate(slots) if slot.site == site.at}
        if 1 < gates == len(mine):
            found.append(mine)
    return found


def unused(draws: Sequence[Draw], suspects: Set[int], run: Callable[[List[Draw]], Arrays]) -> FrozenSet[int]:
    """Which of the suspects change nothing; none, where none of them does: then it is no matter of too many draws.

    run  the program's results, driven by a tape.
    """
    if not 1 < len(suspects) <= MOST:
        return frozenset()
    tape = [_half(draw, number) for number, draw in enumerate(draws)]
    first = run(list(tape))
    idle = frozenset(
        number for number in suspects if _same(first, run([*tape[:number], _turned(tape[number]), *tape[number + 1 :]]))
    )
    return idle if len(idle) < len(suspects) else frozenset()


def _half(draw: Draw, number: int) -> Draw:
    """A draw of that shape that keeps one half, whichever way the program reads it."""
    values = np.random.RandomState(number).standard_normal(draw.values.shape)
    return Draw(NORMAL, values) if draw.kind == NORMAL else Draw(BERNOULLI, np.asarray(values > 0))


def _turned(draw: Draw) -> Draw:
    return draw._replace(values=-draw.values if draw.kind == NORMAL else ~draw.values)


def _same(first: Arrays, second: Arrays) -> bool:
    return all(_close(first[name], second[name]) for name in first)


def _close(one: Any, other: Any) -> bool:
    one, other = (np.asarray(array, dtype=np.float64) for array in (one, other))
    size = max([float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0)) for array in (one, other)])
    return bool(np.allclose(one, other, rtol=0.0, atol=SAME * size, equal_nan=True))
