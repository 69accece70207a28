"""The LSTM as a NumPy recipe, gate by gate and step by step, and the encoder and decoder made of two.

The step as the tutorials print it (gates i, f, c or g, o; Keras's order):

    z = x W + h U + b;  z0, z1, z2, z3 = split(z, 4)
    i = sigmoid(z0);  f = sigmoid(z1);  c = f * c + i * tanh(z2);  o = sigmoid(z3);  h = o * tanh(c)

with dropout on what enters it: x and h by masks of their own for each gate (or one for all), c by one mask; on what
leaves it: the emitted output, never the state. Every mask is drawn once, in the shape that the case asks for.
"""

from typing import Dict, List, Optional, Tuple

import numpy as np

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.numpy_base import Arrays, NumpyAdapter, drawing, multiplier

SITES = ("input", "state.h", "state.c", "output", "between_layers")

#: Complex multiplications above which a gradient by complex steps would take minutes.
MOST_WORK = 2e10


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), written so that exp never overflows; complex z too."""
    positive = z.real >= 0
    small = np.exp(np.where(positive, -z, z))
    one = np.ones((), dtype=z.dtype)
    return np.asarray(np.where(positive, one / (one + small), small / (one + small)))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A @ b in their dtype: NumPy multiplies ml_dtypes' bfloat16 in float32, and the sum is rounded back as elsewhere."""
    return np.asarray(np.matmul(a, b).astype(np.result_type(a, b)))


class Masks(object):
    """Multipliers of one LSTM by site, in their canonical axes."""

    def __init__(self, job: Job, draws: Arrays, like: np.ndarray, prefix: str) -> None:
        self._arrays: Arrays = {}
        for site in drawing(job):
            if site.at.startswith(prefix):
                self._arrays[site.at[len(prefix) :]] = multiplier(site, draws[site.at], like)

    def step(self, at: str, layer: int, layers: int, gate: int, t: int) -> Optional[np.ndarray]:
        """The mask (B or 1, features or 1) of one site at one step; None where nothing is dropped."""
        mask = self._arrays.get(at)
        if mask is None:
            return None
        if at == "between_layers" or (at in ("state.h", "state.c") and layers > 1):
            mask = mask[layer if mask.shape[0] > 1 else 0]
        if at in ("input", "state.h"):
            mask = mask[gate if mask.shape[0] > 1 else 0]
        return np.asarray(mask[:, t if mask.shape[1] > 1 else 0])


def dropped(value: np.ndarray, mask: Optional[np.ndarray]) -> np.ndarray:
    """The value times its mask."""
    return value if mask is None else np.asarray(value * mask)


def layer_outputs(
    x: List[np.ndarray],
    h: np.ndarray,
    c: np.ndarray,
    weights: Tuple[np.ndarray, np.ndarray, np.ndarray],
    masks: Masks,
    layer: int,
    layers: int,
) -> Tuple[List[np.ndarray], np.ndarray, np.ndarray]:
    """One layer over the steps x (each (B, D)): every step's h, the last h and the last c."""
    kernel, recurrent_kernel, bias = weights
    units = h.shape[-1]
    outputs = []
    for t, x_t in enumerate(x):
        z = []
        for gate in range(4):
            columns = slice(gate * units, (gate + 1) * units)
            x_gate = dropped(x_t, masks.step("input", layer, layers, gate, t)) if layer == 0 else x_t
            h_gate = dropped(h, masks.step("state.h", layer, layers, gate, t))
            total = product(x_gate, kernel[..., columns])
            total = total + product(h_gate, recurrent_kernel[..., columns])
            z.append(total + bias[..., None, columns])
        c = dropped(c, masks.step("state.c", layer, layers, 0, t))
        i = sigmoid(z[0])
        f = sigmoid(z[1])
        c = f * c + i * np.tanh(z[2])
        o = sigmoid(z[3])
        h = o * np.tanh(c)
        outputs.append(h)
    return outputs, h, c


def lstm(
    x: np.ndarray, h0: np.ndarray, c0: np.ndarray, weights: Arrays, layers: int, masks: Masks
) -> Tuple[List[np.ndarray], np.ndarray, np.ndarray]:
    """A stack of layers. x (B, T, D); h0, c0 (L, B, H). Returns the last layer's outputs by step, h and c (L, B, H).

    Any one array may have an axis of copies in front; what it reaches has it too.
    """
    steps = [x[..., t, :] for t in range(x.shape[-2])]
    last_h, last_c = [], []
    for layer in range(layers):
        prefix = "layer%d." % layer if layers > 1 else ""
        own = (weights[prefix + "kernel"], weights[prefix + "recurrent_kernel"], weights[prefix + "bias"])
        steps, h, c = layer_outputs(steps, h0[..., layer, :, :], c0[..., layer, :, :], own, masks, layer, layers)
        last_h.append(h)
        last_c.append(c)
        above = "output" if layer == layers - 1 else "between_layers"
        steps = [dropped(step, masks.step(above, layer, layers, 0, t)) for t, step in enumerate(steps)]
    return steps, stack(last_h, -3), stack(last_c, -3)


def stack(arrays: List[np.ndarray], axis: int) -> np.ndarray:
    """np.stack of arrays of which some have an axis of copies in front and some have none."""
    return np.stack(np.broadcast_arrays(*arrays), axis=axis)


class Recurrent(NumpyAdapter):
    """What both recipes share: states, outputs, the size of a gradient."""

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

    def states(self, job: Job, inputs: Arrays, like: np.ndarray) -> List[np.ndarray]:
        """h0 and c0 with an axis of layers, (L, B, H); zero where they are not given."""
        layers, units = job.config["layers"], job.config["units"]
        found = []
        for name in ("h0", "c0"):
            if name not in inputs:
                found.append(np.zeros((layers, job.inputs["x"].shape[0], units), dtype=like.dtype))
            else:
                found.append(inputs[name] if layers > 1 else inputs[name][..., None, :, :])
        return found

    def result(self, job: Job, steps: List[np.ndarray], states: Dict[str, np.ndarray]) -> Arrays:
        """The canonical outputs: y, and the states where they are wanted."""
        outputs = {"y": stack(steps, -2) if job.config["return_sequences"] else steps[-1]}
        if job.config["return_state"]:
            for name, state in states.items():
                outputs[name] = state if job.config["layers"] > 1 else state[..., 0, :, :]
        return outputs


@implementation("numpy.lstm", ["numpy"], "lstm", needs=["numpy"], recipe=True)
class Lstm(Recurrent):
    """The loop over layers and steps."""

    sites = SITES
    noises = ("bernoulli", "gaussian")

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        x = inputs["x"]
        h0, c0 = self.states(job, inputs, x)
        steps, h, c = lstm(x, h0, c0, weights, job.config["layers"], Masks(job, draws, x, ""))
        return self.result(job, steps, {"h": h, "c": c})


@implementation("numpy.encoder_decoder", ["numpy"], "encoder_decoder", needs=["numpy"], recipe=True)
class EncoderDecoder(Recurrent):
    """The encoder's last (h, c) is the decoder's first."""

    sites = tuple("encoder." + site for site in SITES) + tuple("decoder." + site for site in SITES)
    noises = ("bernoulli", "gaussian")

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        layers = job.config["layers"]
        halves = []
        for prefix in ("encoder.", "decoder."):
            start = "" if job.config["tied"] else prefix
            halves.append({name[len(start) :]: array for name, array in weights.items() if name.startswith(start)})
        h0, c0 = self.states(job, inputs, inputs["x"])
        x, z = inputs["x"], inputs["z"]
        _, h, c = lstm(x, h0, c0, halves[0], layers, Masks(job, draws, x, "encoder."))
        steps, last_h, last_c = lstm(z, h, c, halves[1], layers, Masks(job, draws, z, "decoder."))
        return self.result(job, steps, {"h": last_h, "c": last_c, "encoder.h": h, "encoder.c": c})
