"""The LSTM as a NumPy recipe, step by step (harness.adapters.numpy_cell), and the encoder and decoder made of two.

Dropout acts on what enters a step: x and h by masks of their own for each gate (or one for all), c by one mask; or on the
state that leaves it; on the recurrent kernel; and on what is emitted, never the state. Every mask is drawn once, in the
shape that the case asks for. NumPy can express any sharing, which makes this the yardstick for the frameworks.
"""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from harness.adapters.base import PLAIN_SETTINGS, Job, Unsupported, implementation
from harness.adapters.numpy_base import Arrays, NumpyAdapter, drawing, multiplier
from harness.adapters.numpy_cell import dropped, lstm_step

SITES = ("input", "state.h", "state.c", "output", "between_layers", "weight.recurrent")

OPTIONS = (
    "forget_bias",
    "peepholes",
    "cell_clip",
    "projection",
    "projection_clip",
    "recurrent_activation",
    "bidirectional",
    "go_backwards",
    "padding",
    "drop_leaving_state",
    "stateful",
)

#: Complex multiplications above which a gradient by complex steps would take minutes.
MOST_WORK = 2e10

State = Tuple[np.ndarray, np.ndarray]


class Masks(object):
    """Multipliers by site, in their canonical axes."""

    def __init__(self, job: Job, draws: Arrays, like: np.ndarray, prefix: str = "") -> None:
        self._masks: Dict[str, Tuple[Tuple[str, ...], np.ndarray]] = {}
        for site in drawing(job):
            if site.at.startswith(prefix):
                self._masks[site.at[len(prefix) :]] = (site.axes, multiplier(site, draws[site.at], like))

    def part(self, at: str, **where: int) -> Optional[np.ndarray]:
        """A site's mask at one index of some of its axes; None where nothing is dropped. A shared axis has one index."""
        if at not in self._masks:
            return None
        axes, mask = self._masks[at]
        index: List[Any] = []
        for axis, size in zip(axes, mask.shape):
            index.append((where[axis] if size > 1 else 0) if axis in where else slice(None))
        return np.asarray(mask[tuple(index)])


def walk(
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
    dropped_weight = masks.part("weight.recurrent", layers=layer, directions=direction)
    if dropped_weight is not None:
        kernel = weights["recurrent_kernel"]
        split = kernel.reshape((*kernel.shape[:-1], 4, kernel.shape[-1] // 4))
        weights = dict(weights, recurrent_kernel=(split * dropped_weight).reshape(kernel.shape))
    positions = list(range(len(x)))
    if direction == 1 or config.get("go_backwards"):
        positions.reverse()
    leaving = bool(config.get("drop_leaving_state"))
    emitted: List[Optional[np.ndarray]] = [None] * len(x)
    last = (h, c)
    shown = np.zeros_like(h)
    for t in positions:

        def x_gate(gate: int, t: int = t) -> np.ndarray:
            mask = masks.part("input", directions=direction, gates=gate, time=t) if layer == 0 else None
            return dropped(x[t], mask)

        def h_gate(gate: int, t: int = t, h: np.ndarray = h) -> np.ndarray:
            if leaving:
                return h
            return dropped(h, masks.part("state.h", layers=layer, directions=direction, gates=gate, time=t))

        c_mask = masks.part("state.c", layers=layer, directions=direction, time=t)
        h_new, c_new = lstm_step(config, weights, x_gate, h_gate, c if leaving else dropped(c, c_mask))
        output = h_new
        if leaving:
            h_new = dropped(h_new, masks.part("state.h", layers=layer, directions=direction, gates=0, time=t))
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
    return (found[::-1] if config.get("go_backwards") else found), last


def lstm(
    config: Dict[str, Any],
    x: np.ndarray,
    state: State,
    weights: Arrays,
    masks: Masks,
    lengths: Optional[np.ndarray] = None,
) -> Tuple[List[np.ndarray], State]:
    """A stack. x (B, T, D); state (L, N, B, ·) for N directions. Returns what the last layer emits, and the last state.

    Any one array may have an axis of copies in front; what it reaches has it too.
    """
    layers = config["layers"]
    directions = 2 if config.get("bidirectional") else 1
    steps = [x[..., t, :] for t in range(x.shape[-2])]
    last: List[State] = []
    for layer in range(layers):
        sides = []
        for direction in range(directions):
            prefix = "layer%d." % layer if layers > 1 else ""
            if directions == 2:
                prefix += ("forward.", "backward.")[direction]
            own = {name[len(prefix) :]: array for name, array in weights.items() if name.startswith(prefix)}
            start = (state[0][..., layer, direction, :, :], state[1][..., layer, direction, :, :])
            side, end = walk(config, steps, start, own, masks, layer, direction, lengths)
            sides.append(side)
            last.append(end)
        above = "output" if layer == layers - 1 else "between_layers"
        steps = [beside([side[t] for side in sides]) for t in range(len(steps))]
        steps = [dropped(step, masks.part(above, layers=layer, time=t)) for t, step in enumerate(steps)]
    leading = (layers, directions)
    return steps, (grid([h for h, _ in last], leading), grid([c for _, c in last], leading))


def beside(arrays: List[np.ndarray]) -> np.ndarray:
    """Both directions' outputs in one, along the last axis."""
    if len(arrays) == 1:
        return arrays[0]
    copies = max(array.shape[:-2] for array in arrays)
    return np.concatenate([np.broadcast_to(array, copies + array.shape[-2:]) for array in arrays], axis=-1)


def stack(arrays: List[np.ndarray], axis: int) -> np.ndarray:
    """np.stack of arrays of which some have an axis of copies in front and some have none."""
    return np.stack(np.broadcast_arrays(*arrays), axis=axis)


def grid(arrays: List[np.ndarray], leading: Tuple[int, ...]) -> np.ndarray:
    """Arrays (B, ·) to one (L, N, B, ·), behind an axis of copies where they have one."""
    joined = stack(arrays, -3)
    return joined.reshape(joined.shape[:-3] + leading + joined.shape[-2:])


class Recurrent(NumpyAdapter):
    """What both recipes share: states, outputs, the size of a gradient."""

    noises = ("bernoulli", "gaussian")

    def check(self, job: Job) -> None:
        super(Recurrent, self).check(job)
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

    def state(self, job: Job, inputs: Arrays, like: np.ndarray) -> State:
        """h0 and c0 as (L, N, B, ·); zero where they are not given."""
        config = job.config
        leading = (config["layers"], 2 if config.get("bidirectional") else 1)
        widths = (config.get("projection") or config["units"], config["units"])
        found = []
        for name, width in zip(("h0", "c0"), widths):
            core = (*leading, job.inputs["x"].shape[0], width)
            if name in inputs:
                copies = inputs[name].shape[: inputs[name].ndim - job.inputs[name].ndim]
                found.append(inputs[name].reshape(copies + core))
            else:
                found.append(np.zeros(core, dtype=like.dtype))
        return found[0], found[1]

    def result(self, job: Job, steps: List[np.ndarray], states: Dict[str, np.ndarray]) -> Arrays:
        """The canonical outputs: y, and the states where they are wanted."""
        config = job.config
        two = bool(config.get("bidirectional"))
        if config["return_sequences"]:
            outputs = {"y": stack(steps, -2)}
        elif two:
            half = steps[-1].shape[-1] // 2
            outputs = {"y": beside([steps[-1][..., :half], steps[0][..., half:]])}
        else:
            outputs = {"y": steps[-1]}
        if config["return_state"]:
            leading = ((config["layers"],) if config["layers"] > 1 else ()) + ((2,) if two else ())
            for name, state in states.items():
                outputs[name] = state.reshape(state.shape[:-4] + leading + state.shape[-2:])
        return outputs


@implementation("numpy.lstm", ["numpy"], "lstm", needs=["numpy"], recipe=True)
class Lstm(Recurrent):
    """The loop over layers, directions and steps."""

    sites = SITES
    settings = PLAIN_SETTINGS + OPTIONS

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        x = inputs["x"]
        state = self.state(job, inputs, x)
        steps, (h, c) = lstm(job.config, x, state, weights, Masks(job, draws, x), job.inputs.get("lengths"))
        return self.result(job, steps, {"h": h, "c": c})

    def carried(self, job: Job, draws: Arrays) -> Job:
        """As a stateful layer: the next call starts from this one's last states."""
        stated = job._replace(config=dict(job.config, return_state=True))
        outputs = self.forward(stated, job.inputs, job.weights, draws)
        return job._replace(inputs=dict(job.inputs, h0=outputs["h"], c0=outputs["c"]))


@implementation("numpy.encoder_decoder", ["numpy"], "encoder_decoder", needs=["numpy"], recipe=True)
class EncoderDecoder(Recurrent):
    """The encoder's last (h, c) is the decoder's first."""

    sites = tuple("encoder." + site for site in SITES) + tuple("decoder." + site for site in SITES)

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        halves = []
        for prefix in ("encoder.", "decoder."):
            start = "" if job.config["tied"] else prefix
            halves.append({name[len(start) :]: array for name, array in weights.items() if name.startswith(start)})
        x, z = inputs["x"], inputs["z"]
        start_state = self.state(job, inputs, x)
        _, (h, c) = lstm(job.config, x, start_state, halves[0], Masks(job, draws, x, "encoder."))
        steps, (last_h, last_c) = lstm(job.config, z, (h, c), halves[1], Masks(job, draws, z, "decoder."))
        return self.result(job, steps, {"h": last_h, "c": last_c, "encoder.h": h, "encoder.c": c})
