"""One LSTM step as a NumPy recipe, gate by gate, in the order in which the tutorials print it (gates i, f, c or g, o):

    z = x W + h U + b;  z0, z1, z2, z3 = split(z, 4)
    i = sigmoid(z0);  f = sigmoid(z1);  c = f * c + i * tanh(z2);  o = sigmoid(z3);  h = o * tanh(c)

with the options of TensorFlow 1's cells and torch's `proj_size`. Real or complex arrays, of which any may have an axis of
copies in front; it is never read from the data, only carried along.
"""

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

Arrays = Dict[str, np.ndarray]


def constant(value: float, like: np.ndarray) -> np.ndarray:
    """A number in the dtype of `like`."""
    return np.asarray(value, dtype=like.dtype)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), written so that exp never overflows; complex z too."""
    positive = z.real >= 0
    small = np.exp(np.where(positive, -z, z))
    one = constant(1.0, z)
    return np.asarray(np.where(positive, one / (one + small), small / (one + small)))


def hard_sigmoid(z: np.ndarray) -> np.ndarray:
    """A line of slope 1/6 through (0, 1/2), cut at 0 and 1."""
    return between(z / constant(6.0, z) + constant(0.5, z), 0.0, 1.0)


def hard_sigmoid_keras2(z: np.ndarray) -> np.ndarray:
    """A line of slope 1/5 through (0, 1/2), cut at 0 and 1."""
    return between(constant(0.2, z) * z + constant(0.5, z), 0.0, 1.0)


RECURRENT: Dict[Optional[str], Callable[[np.ndarray], np.ndarray]] = {
    None: sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_keras2": hard_sigmoid_keras2,
}


def between(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """The value cut to [low, high] by its real part; what is cut is a constant, so it has no imaginary part."""
    value = np.where(value.real < low, constant(low, value), value)
    return np.asarray(np.where(value.real > high, constant(high, value), value))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A @ b in their dtype: NumPy multiplies ml_dtypes' bfloat16 in float32, and the sum is rounded back as elsewhere."""
    return np.asarray(np.matmul(a, b).astype(np.result_type(a, b)))


def dropped(value: np.ndarray, mask: Optional[np.ndarray]) -> np.ndarray:
    """The value times its mask."""
    return value if mask is None else np.asarray(value * mask)


def lstm_step(
    config: Dict[str, Any],
    weights: Arrays,
    x: Callable[[int], np.ndarray],
    h: Callable[[int], np.ndarray],
    c: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """One step. x and h give what enters a gate (0 to 3: i, f, g, o), (B, D) and (B, P); c is (B, H). Returns h and c."""
    units = config["units"]
    recurrent = RECURRENT[config.get("recurrent_activation")]
    z = []
    for gate in range(4):
        columns = slice(gate * units, (gate + 1) * units)
        total = product(x(gate), weights["kernel"][..., columns])
        total = total + product(h(gate), weights["recurrent_kernel"][..., columns])
        z.append(total + weights["bias"][..., None, columns])
    if config.get("forget_bias"):
        z[1] = z[1] + constant(config["forget_bias"], z[1])
    if config.get("peepholes"):
        z[0] = z[0] + weights["peephole_i"][..., None, :] * c
        z[1] = z[1] + weights["peephole_f"][..., None, :] * c
    i = recurrent(z[0])
    f = recurrent(z[1])
    c = f * c + i * np.tanh(z[2])
    if config.get("cell_clip"):
        c = between(c, -config["cell_clip"], config["cell_clip"])
    if config.get("peepholes"):
        z[3] = z[3] + weights["peephole_o"][..., None, :] * c
    o = recurrent(z[3])
    h_new = o * np.tanh(c)
    if config.get("projection"):
        h_new = product(h_new, weights["projection"])
    if config.get("projection_clip"):
        h_new = between(h_new, -config["projection_clip"], config["projection_clip"])
    return h_new, c
