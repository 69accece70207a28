"""The LSTM as a NumPy recipe, step by step (harness.frameworks.numpy.cell), and the encoder and decoder made of two.

Dropout acts on what enters a step: x and h by masks of their own for each gate (or one for all), c by one mask; or on the
state that leaves it; on the recurrent kernel; and on what is emitted, never the state. Every mask is drawn once, in the
shape that the case asks for. NumPy can express any sharing, which makes this the yardstick for the frameworks.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, Unsupported, implementation
from harness.frameworks.contract.capabilities import FORMULA_SETTINGS
from harness.frameworks.contract.geometry import HALVES, Geometry, outputs_of, own_part
from harness.frameworks.contract.places import place_of
from harness.frameworks.numpy.base import Arrays, NumpyAdapter, drawing, multiplier
from harness.frameworks.numpy.cell import dropped, lstm_step

SITES = ("input", "state.h", "state.c", "output", "between_layers", "weight.recurrent")

OPTIONS = (
    *FORMULA_SETTINGS,
    "bidirectional",
    "go_backwards",
    "padding",
    "drop_leaving_state",
    "stateful",
)

#: Complex multiplications above which a gradient by complex steps would take minutes.
MOST_WORK = 2e10

State = Tuple[np.ndarray, np.ndarray]


class Masks:
    """Multipliers by site, in their canonical axes."""

    def __init__(self, job: Job, draws: Arrays, like: np.ndarray) -> None:
        self._masks = {site.at: (site, multiplier(site, draws[site.at], like)) for site in drawing(job)}

    def part(self, at: str, **where: int) -> Optional[np.ndarray]:
        """A site's mask at one index of some of its axes; None where nothing is dropped. A shared axis has one index."""
        if at not in self._masks:
            return None
        site, mask = self._masks[at]
        return np.asarray(mask[place_of(site, **where)])


def walk(
    stack: Geometry,
    config: Dict[str, Any],
    x: List[np.ndarray],
    state: State,
    weights: Arrays,
    masks: Masks,
    layer: int,
    direction: int,
    lengths: Optional[np.ndarray],
) -> Tuple[List[np.ndarray], State]:
    """One layer in one direction over the steps x (each (B, D)): what it emits at each position, and its last state."""
    h, c = state
    dropped_weight = masks.part(stack.at("weight.recurrent", layer), layers=layer, directions=direction)
    if dropped_weight is not None:
        kernel = weights["recurrent_kernel"]
        split = kernel.reshape((*kernel.shape[:-1], 4, kernel.shape[-1] // 4))
        weights = dict(weights, recurrent_kernel=(split * dropped_weight).reshape(kernel.shape))
    leaving = bool(config.get("drop_leaving_state"))
    emitted: List[Optional[np.ndarray]] = [None] * len(x)
    last = (h, c)
    shown = np.zeros_like(h)
    for t in stack.order(direction):

        def x_gate(gate: int, t: int = t) -> np.ndarray:
            mask = masks.part(stack.at("input"), directions=direction, gates=gate, time=t) if layer == 0 else None
            return dropped(x[t], mask)

        def h_gate(gate: int, t: int = t, h: np.ndarray = h) -> np.ndarray:
            if leaving:
                return h
            return dropped(h, masks.part(stack.at("state.h"), layers=layer, directions=direction, gates=gate, time=t))

        c_mask = masks.part(stack.at("state.c"), layers=layer, directions=direction, time=t)
        h_new, c_new = lstm_step(config, weights, x_gate, h_gate, c if leaving else dropped(c, c_mask))
        output = h_new
        if leaving:
            h_new = dropped(h_new, masks.part(stack.at("state.h"), layers=layer, directions=direction, gates=0, time=t))
            c_new = dropped(c_new, c_mask)
        if lengths is not None and config["padding"] != "free":
            within = np.asarray(t < lengths)[:, None]
            h_new, c_new = np.where(within, h_new, h), np.where(within, c_new, c)
            output = np.where(within, output, shown if config["padding"] == "repeat" else np.zeros_like(output))
            shown = output
        h, c = h_new, c_new
        emitted[t] = output
        if lengths is not None and config["padding"] == "free":
            ends = np.asarray(t == lengths - 1)[:, None]
            last = (np.where(ends, h, last[0]), np.where(ends, c, last[1]))
        else:
            last = (h, c)
    found = [step for step in emitted if step is not None]
    return (found[::-1] if stack.backwards else found), last


def lstm(
    stack: Geometry,
    config: Dict[str, Any],
    x: np.ndarray,
    state: State,
    weights: Arrays,
    masks: Masks,
    lengths: Optional[np.ndarray] = None,
) -> Tuple[List[np.ndarray], State]:
    """A stack. x (B, T, D); state (L, N, B, ·). Returns what the last layer emits, and the last state.

    Any one array may have an axis of copies in front; what it reaches has it too.
    """
    steps = [x[..., t, :] for t in range(x.shape[-2])]
    last: List[State] = []
    for layer in range(stack.layers):
        sides = []
        for direction, prefix in enumerate(stack.prefixes(layer)):
            start = (state[0][..., layer, direction, :, :], state[1][..., layer, direction, :, :])
            own = own_part(prefix, weights)
            side, end = walk(stack, config, steps, start, own, masks, layer, direction, lengths)
            sides.append(side)
            last.append(end)
        steps = [beside([side[t] for side in sides]) for t in range(len(steps))]
        steps = emitted_by(stack, layer, steps, masks)
    return steps, (grid([h for h, _ in last], stack), grid([c for _, c in last], stack))


def emitted_by(stack: Geometry, layer: int, steps: List[np.ndarray], masks: Masks) -> List[np.ndarray]:
    """What leaves a layer upward, masked."""
    above = stack.above(layer)
    return [dropped(step, masks.part(above, layers=layer, time=t)) for t, step in enumerate(steps)]


def beside(arrays: List[np.ndarray]) -> np.ndarray:
    """Both directions' outputs in one, along the last axis."""
    if len(arrays) == 1:
        return arrays[0]
    copies = max(array.shape[:-2] for array in arrays)
    return np.concatenate([np.broadcast_to(array, copies + array.shape[-2:]) for array in arrays], axis=-1)


def pile(arrays: List[np.ndarray], axis: int) -> np.ndarray:
    """np.stack of arrays of which some have an axis of copies in front and some have none."""
    return np.stack(np.broadcast_arrays(*arrays), axis=axis)


def grid(arrays: List[np.ndarray], stack: Geometry) -> np.ndarray:
    """Arrays (B, ·) to one (L, N, B, ·), behind an axis of copies where they have one."""
    joined = pile(arrays, -3)
    return joined.reshape((*joined.shape[:-3], stack.layers, stack.directions, *joined.shape[-2:]))


class Recurrent(NumpyAdapter):
    """What both recipes share: states, outputs, the size of a gradient."""

    noises = ("bernoulli", "gaussian")

    def check(self, job: Job) -> None:
        super().check(job)
        if job.cotangents:
            elements = sum(array.size for array in list(job.inputs.values()) + list(job.weights.values()))
            steps = sum(job.inputs[name].shape[1] for name in ("x", "z") if name in job.inputs)
            per_step = sum(array.size for array in job.weights.values())
            work = float(elements) * steps * per_step * job.inputs["x"].shape[0]
            if work > MOST_WORK:
                raise Unsupported(
                    "complex steps for %d inputs and weights would take minutes: set `gradients: false`, or leave the"
                    " gradients to the other backends" % elements
                )

    def state(self, stack: Geometry, job: Job, inputs: Arrays, like: np.ndarray) -> State:
        """h0 and c0 as (L, N, B, ·); zero where they are not given."""
        found = []
        for name in ("h", "c"):
            if name + "0" in inputs:
                given = inputs[name + "0"]
                copies = given.shape[: given.ndim - job.inputs[name + "0"].ndim]
                found.append(given.reshape(copies + stack.grid(name)))
            else:
                found.append(np.zeros(stack.grid(name), dtype=like.dtype))
        return found[0], found[1]

    def result(self, job: Job, steps: List[np.ndarray], states: Sequence[State]) -> Arrays:
        """The canonical outputs of what the last stack emits and of each one's last states."""
        canonical = [
            [state.reshape(state.shape[:-4] + stack.leading + state.shape[-2:]) for state in own]
            for stack, own in zip(job.stacks, states)
        ]
        return outputs_of(job.stacks, job.config, pile(steps, -2), canonical, beside)


@implementation("numpy.lstm", ["numpy"], "lstm", needs=["numpy"], recipe=True)
class Lstm(Recurrent):
    """The loop over layers, directions and steps."""

    sites: Tuple[str, ...] = SITES
    settings: Tuple[str, ...] = PLAIN_SETTINGS + OPTIONS

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        states: List[State] = []
        for stack in job.stacks:
            x = inputs[stack.sequence]
            start = states[-1] if states else self.state(stack, job, inputs, x)
            masks = Masks(job, draws, x)
            steps, state = lstm(stack, job.config, x, start, weights, masks, job.inputs.get("lengths"))
            states.append(state)
        return self.result(job, steps, states)

    def carried(self, job: Job, draws: Arrays) -> Job:
        """As a stateful layer: the next call starts from this one's last states."""
        stated = job._replace(config=dict(job.config, return_state=True))
        outputs = self.forward(stated, job.inputs, job.weights, draws)
        return job._replace(inputs=dict(job.inputs, h0=outputs["h"], c0=outputs["c"]))


@implementation("numpy.encoder_decoder", ["numpy"], "encoder_decoder", needs=["numpy"], recipe=True)
class EncoderDecoder(Lstm):
    """The encoder's last (h, c) is the decoder's first."""

    sites = tuple(half + site for half, _ in HALVES for site in SITES)
    settings = PLAIN_SETTINGS
