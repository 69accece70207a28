"""What a framework's own parameters and states show: gate order, orientation, biases, forget bias, order of the states.

The canonical weights are random, so each of their blocks is found by its values, wherever and however it lies in the
framework's arrays (`frameworks.contract.adapter.Adapter.native`). Nothing is known beforehand of any framework; what blocks of
equal values cannot tell is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.comparison.checks.state import distance
from harness.comparison.context import Evidence
from harness.records import Arrays

STATES = ("state0", "state1")
#: A first element that stands in more places than this tells nothing: the weights are not random.
CANDIDATES = 32
#: One order of the states must fit so many times better than the other.
CLEAR = 10.0


class Spot(NamedTuple):
    """Where a block (inputs, units) lies: in `name`, or with `turned` in its transpose, from (row, column) on.

    step    from one unit's column to the next one's: 1, or the number of gates where they are interleaved.
    """

    name: str
    turned: bool
    row: int
    column: int
    step: int


class GateBlocks(NamedTuple):
    """One layer's canonical blocks by gate: (inputs, units), (units, units), (units,)."""

    kernel: list[np.ndarray]
    recurrent: list[np.ndarray]
    bias: list[np.ndarray]


def native_facts(evidence: Evidence, agrees: bool) -> dict[str, str]:
    """The entries of the profile that the framework's own arrays give; {} without them.

    agrees   whether the implementation's outputs are the reference's: else nothing is said of what is added to a bias.
    """
    arrays = {name: array for name, array in evidence.native.items() if name not in STATES}
    found = {"own parameters": f"could not be read: {evidence.native_failure}" if evidence.native_failure else ""}
    layers = layers_of(evidence)
    if arrays and layers:
        found["own parameters"] = ", ".join(f"{name} {sized(array.shape)}" for name, array in arrays.items())
        spots = [[find(block, arrays) for block in layer.recurrent] for layer in layers]
        entering = [[find(block, arrays) for block in layer.kernel] for layer in layers]
        found["gate order"] = the_same([gate_order(one, evidence.context.kind.letters) for one in spots])
        found["kernel"] = the_same([orientation(a, b) for a, b in zip(entering, spots, strict=True)])
        taken = {spot.name for one in (*spots, *entering) for spot in one if spot is not None}
        rest = {name: array for name, array in arrays.items() if name not in taken}
        found |= biases(evidence, layers, rest, spots, agrees)
    found["state order"] = state_order(evidence)
    return {name: text for name, text in found.items() if text}


def layers_of(evidence: Evidence) -> list[GateBlocks]:
    """The canonical blocks of every layer that has a recurrent kernel; [] where the layer kind has none."""
    weights = evidence.context.arrays()[1]
    found = []
    for name in weights:
        if name.rpartition(".")[2] != "recurrent_kernel":
            continue
        prefix = name.removesuffix("recurrent_kernel")
        own = [weights[prefix + part] for part in ("kernel", "recurrent_kernel", "bias") if prefix + part in weights]
        count = len(evidence.context.kind.gates)
        # A layer of another width than the others' is left out.
        if len(own) == 3 and own[0].shape[-1] == count * int(evidence.variant.config.units):
            found.append(GateBlocks(*(np.split(array, count, axis=-1) for array in own)))
    return found


def find(block: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Spot | None:
    """The one place where a block's values stand; None where there is none, or more than one."""
    places = []
    for name, array in arrays.items():
        if array.ndim != 2:
            continue
        for turned in (False, True):
            matrix = array.T if turned else array
            corners = np.argwhere(matrix == block[0, 0])
            if len(corners) > CANDIDATES:
                return None
            for row, column in corners.tolist():
                for step in steps(matrix, block, row, column):
                    part = matrix[row : row + block.shape[0], column : column + step * block.shape[1] : step]
                    if part.shape == block.shape and np.array_equal(part, block):
                        places.append(Spot(name, turned, row, column, step))
    return places[0] if len(places) == 1 else None


def steps(matrix: np.ndarray, block: np.ndarray, row: int, column: int) -> list[int]:
    """How far the second unit's column may lie from the first one's."""
    if block.shape[1] == 1:
        return [1]
    return [step for step in (np.flatnonzero(matrix[row, column + 1 :] == block[0, 1]) + 1).tolist() if step <= 4]


def gate_order(spots: list[Spot | None], names: str) -> str:
    """The gates in the order in which they lie in one array; or which array each has. names: canonical, a letter each."""
    placed = [spot for spot in spots if spot is not None]
    if len(spots) < 2 or len(placed) < len(spots):
        return ""
    if len({spot.name for spot in placed}) == len(placed):
        each = ", ".join(f"{gate} {spot.name}" for gate, spot in zip(names, placed, strict=True))
        return f"an array each: {each}"
    if len({(spot.name, spot.turned, spot.row, spot.step) for spot in placed}) > 1:
        return "scattered over several arrays"
    order = ", ".join(gate for _, gate in sorted((spot.column, gate) for gate, spot in zip(names, placed, strict=True)))
    return order if placed[0].step == 1 else f"{order}, interleaved by unit"


def orientation(entering: list[Spot | None], recurrent: list[Spot | None]) -> str:
    """Whether x is multiplied by the array or by its transpose, and whether x and h have one array."""
    own = [(spot.turned, spot.name, spot.row) for spot in entering if spot is not None]
    other = [(spot.turned, spot.name, spot.row) for spot in recurrent if spot is not None]
    if len(own) < len(entering) or len(other) < len(recurrent):
        return ""
    turned = {first for first, _, _ in own + other}
    if len(turned) > 1:
        return "the input's and the recurrent kernel in different orientations"
    text = "(out, in)" if turned == {True} else "(in, out)"
    if own[0][1] != other[0][1]:
        return f"{text}, input and recurrent apart"
    order = "input first" if own[0][2] < other[0][2] else "recurrent first"
    return f"{text}, input and recurrent in one array, {order}"


def biases(
    evidence: Evidence, layers: list[GateBlocks], arrays: Arrays, spots: list[list[Spot | None]], agrees: bool
) -> dict[str, str]:
    """How many biases a layer has, and where a constant of the forget gate is: in one of them, or added at run time.

    arrays   those that hold no kernel.
    """
    units = layers[0].bias[0].size
    placed = [spot for spot in spots[0] if spot is not None]
    count = len(layers[0].bias)
    if len(placed) < count or any(spot.step != 1 for spot in placed):
        return {}
    apart = len({spot.name for spot in placed}) > 1
    size = units if apart else count * units
    like = [array for array in arrays.values() if array.shape == (size,)]
    # Keras has a GRU's two biases in one array.
    like += [row for name, array in arrays.items() if array.shape == (2, size) for row in array]
    each, left = divmod(len(like), (count if apart else 1) * len(layers))
    if left:
        return {}
    # Gates lie in a bias as in the kernel beside it.
    order = list(range(count)) if apart else np.argsort([spot.column for spot in placed]).tolist()
    wanted = [block for layer in layers for block in ([*layer.bias] if apart else [ordered(layer.bias, order)])]
    holders = [array for array in like if any(np.array_equal(array, one) for one in wanted)]
    if len(holders) != len(wanted):
        return {"biases": f"{each}, none of which holds the bias alone"} if like else {"biases": "none"}
    # A GRU's second bias may stand inside the product with the reset gate: then it is a weight of its own.
    own = any(name.rpartition(".")[2] == "recurrent_bias" for name in evidence.context.arrays()[1])
    found = {"biases": str(each) if each == 1 else f"{each}, apart" if own else f"{each}, added"}
    rest = [array for array in like if not any(array is one for one in holders)]
    constant = float(getattr(evidence.variant.config, "forget_bias", 0.0) or 0.0)
    forgetting = [number for number, gate in enumerate(evidence.context.kind.gates) if gate.forgets]
    if not forgetting or not agrees or (apart and rest):
        return found
    forget = order.index(forgetting[0])
    stored = {float(value) for array in rest for value in np.unique(array[forget * units : (forget + 1) * units])}
    if constant == 0.0 and stored <= {0.0}:
        found["forget bias"] = "nothing added"
    elif stored == {float(np.asarray(constant, like[0].dtype))}:
        found["forget bias"] = f"{constant:g}, stored in a second bias"
    elif stored <= {0.0}:
        found["forget bias"] = f"{constant:g}, added at run time"
    return found


def sized(shape: tuple[int, ...]) -> str:
    """A shape as text: (40, 8)."""
    return f"({', '.join(map(str, shape))})"


def ordered(blocks: list[np.ndarray], order: list[int]) -> np.ndarray:
    """Blocks joined in an order."""
    return np.concatenate([blocks[index] for index in order])


def state_order(evidence: Evidence) -> str:
    """Which of the two states comes first, by their distances from the reference's last h and c without dropout."""
    native = [evidence.native[name] for name in STATES if name in evidence.native]
    if not native:
        return ""
    reference = evidence.context.reference({}, train=False, gradients=False)
    known = {name: reference.outputs.get(name, last(reference.trace.get(name))) for name in "hc"}
    flat = {name: np.ravel(array) for name, array in known.items() if array is not None}
    if len(native) == 1:
        return "h alone" if "h" in flat and "c" not in flat else ""
    if len(flat) < 2:
        return ""
    first, second = (np.ravel(array) for array in native)
    straight = max(distance(first, flat["h"]), distance(second, flat["c"]))
    swapped = max(distance(first, flat["c"]), distance(second, flat["h"]))
    if straight * CLEAR < swapped:
        return "h, c"
    return "c, h" if swapped * CLEAR < straight else ""


def last(steps_of: np.ndarray | None) -> np.ndarray | None:
    """The last step of a trace (layers, batch, time, units)."""
    return None if steps_of is None or steps_of.ndim != 4 else steps_of[:, :, -1]


def the_same(texts: list[str]) -> str:
    """One text where all layers have it; each layer's where they differ; "" where one could not be told."""
    if "" in texts:
        return ""
    return texts[0] if len(set(texts)) == 1 else "; ".join(f"layer {n}: {text}" for n, text in enumerate(texts))
