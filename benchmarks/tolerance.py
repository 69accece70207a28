"""How many times its sensitivity S the error of each implementation is: what the factor k of the tolerance rests on.

    python -m benchmarks.tolerance [--cases 200]

Runs LSTMs of the installed frameworks in this process, forward and backward, on random shapes and weights, against the float64
reference, and prints a Markdown table of the worst error / S for each output. A row says how many comparisons it rests on;
ill-conditioned outputs and those that must be exact are left out and counted.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from harness.comparison.tolerance import sensitivity
from harness.layers.base import kinds
from harness.rounding import Rounding

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays, Arrays], Arrays]
OUTPUTS = ("y", "h", "c")
GRADIENTS = ("x", "kernel", "recurrent_kernel", "bias")
NAMES = (*OUTPUTS, *(f"d{name}" for name in GRADIENTS))


def arrays(seed: int, large: bool, dtype: str) -> tuple[Arrays, Arrays]:
    """Inputs with weights, and cotangents."""
    rng = np.random.default_rng(seed)
    b, t, d, h = (8, 100, 32, 64) if large else (int(n) for n in rng.integers(1, (4, 9, 6, 9)))
    scale = 1.0 / np.sqrt(h) if large else float(rng.choice([0.1, 0.5, 1.0, 2.0]))
    shapes = {"kernel": (d, 4 * h), "recurrent_kernel": (h, 4 * h), "bias": (4 * h,)}
    data = {"x": rng.normal(size=(b, t, d))} | {name: scale * rng.normal(size=shape) for name, shape in shapes.items()}
    cotangents = {name: rng.normal(size=shape) for name, shape in {"y": (b, t, h), "h": (b, h), "c": (b, h)}.items()}
    return tuple({name: a.astype(dtype) for name, a in part.items()} for part in (data, cotangents))  # type: ignore[return-value]


def reference(data: Arrays, cotangents: Arrays, rounding: Rounding | None) -> Arrays:
    kind = kinds()["lstm"]
    wide = {name: array.astype(np.float64) for name, array in data.items()}
    config = kind.Config(units=data["bias"].size // 4, return_sequences=True, return_state=True)
    inputs = {"x": wide.pop("x")}
    outer = {name: array.astype(np.float64) for name, array in cotangents.items()}
    found = kind.evaluate(config, inputs, wide, (), {}, train=False, cotangents=outer, rounding=rounding)
    return {**found.outputs, **{f"d{name}": array for name, array in found.gradients.items()}}


def torch_layers() -> dict[str, Run]:
    import torch

    def lstm(data: Arrays, cotangents: Arrays) -> Arrays:
        d, four_h = data["kernel"].shape
        layer = torch.nn.LSTM(d, four_h // 4, batch_first=True, dtype=torch.from_numpy(data["x"]).dtype)
        with torch.no_grad():
            layer.weight_ih_l0.copy_(torch.from_numpy(data["kernel"].T.copy()))
            layer.weight_hh_l0.copy_(torch.from_numpy(data["recurrent_kernel"].T.copy()))
            layer.bias_ih_l0.copy_(torch.from_numpy(data["bias"]))
            layer.bias_hh_l0.zero_()
        x = torch.from_numpy(data["x"]).requires_grad_()
        y, (h, c) = layer(x)
        found = {"y": y, "h": h[0], "c": c[0]}
        sum((found[name] * torch.from_numpy(cotangents[name])).sum() for name in OUTPUTS).backward()  # type: ignore[union-attr]
        found |= {"dx": x.grad, "dkernel": layer.weight_ih_l0.grad.T, "drecurrent_kernel": layer.weight_hh_l0.grad.T}
        found["dbias"] = layer.bias_ih_l0.grad
        return {name: tensor.detach().numpy() for name, tensor in found.items()}

    def cell(data: Arrays, cotangents: Arrays) -> Arrays:
        t = {name: torch.from_numpy(array).requires_grad_() for name, array in data.items()}
        h = c = torch.zeros(data["x"].shape[0], data["bias"].size // 4, dtype=t["x"].dtype)
        steps = []
        for step in t["x"].unbind(1):
            i, f, g, o = (step @ t["kernel"] + h @ t["recurrent_kernel"] + t["bias"]).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            steps.append(h)
        found = {"y": torch.stack(steps, 1), "h": h, "c": c}
        sum((found[name] * torch.from_numpy(cotangents[name])).sum() for name in OUTPUTS).backward()  # type: ignore[union-attr]
        found |= {f"d{name}": t[name].grad for name in GRADIENTS}
        return {name: tensor.detach().numpy() for name, tensor in found.items()}

    return {"torch.nn.LSTM": lstm, "torch loop": cell}


def jax_layers() -> dict[str, Run]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    def forward(data: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(x @ data["kernel"] + h @ data["recurrent_kernel"] + data["bias"], 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((data["x"].shape[0], data["bias"].size // 4), data["x"].dtype)
        (h, c), steps = jax.lax.scan(step, (zero, zero), jnp.moveaxis(data["x"], 1, 0))
        return {"y": jnp.moveaxis(steps, 0, 1), "h": h, "c": c}

    @jax.jit
    def both(data: Any, cotangents: Any) -> Any:
        found, pull = jax.vjp(forward, data)
        return found, pull(cotangents)[0]

    def scan(data: Arrays, cotangents: Arrays) -> Arrays:
        found, gradients = both(data, cotangents)
        named = {**found, **{f"d{name}": array for name, array in gradients.items()}}
        return {name: np.asarray(array) for name, array in named.items()}

    return {"jax.lax.scan": scan}


def tensorflow_layers() -> dict[str, Run]:
    import tensorflow as tf

    def keras(data: Arrays, cotangents: Arrays) -> Arrays:
        import keras

        layer = keras.layers.LSTM(
            data["bias"].size // 4, return_sequences=True, return_state=True, dtype=data["x"].dtype.name
        )
        x = tf.constant(data["x"])
        layer.build(x.shape)
        layer.set_weights([data[name] for name in ("kernel", "recurrent_kernel", "bias")])
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = dict(zip(OUTPUTS, layer(x), strict=True))
            loss = tf.add_n([tf.reduce_sum(found[name] * cotangents[name]) for name in OUTPUTS])
        weights = [variable.value for variable in layer.trainable_weights]
        gradients = tape.gradient(loss, [x, *weights])
        found |= {f"d{name}": gradient for name, gradient in zip(GRADIENTS, gradients, strict=True)}
        return {name: np.asarray(tensor) for name, tensor in found.items()}

    return {"keras.layers.LSTM": keras}


FRAMEWORKS = {"torch": torch_layers, "jax": jax_layers, "tensorflow": tensorflow_layers}


def rows(layers: dict[str, Run], seeds: range, large: bool, dtype: str) -> Iterator[str]:
    worst = {label: dict.fromkeys(NAMES, 0.0) for label in layers}
    compared = left_out = 0
    for seed in seeds:
        data, cotangents = arrays(seed, large, dtype)
        judged = sensitivity(lambda r, d=data, c=cotangents: reference(d, c, r), dtype, seed=seed)  # type: ignore[misc]
        found = {label: run(data, cotangents) for label, run in layers.items()}
        for name, bound in judged.bounds.items():
            if name not in NAMES or bound.ill_conditioned or bound.sensitivity == 0.0:
                left_out += name in NAMES
                continue
            compared += 1
            for label in layers:
                error = float(np.abs(found[label][name].astype(np.float64) - judged.clean[name]).max())
                worst[label][name] = max(worst[label][name], error / bound.sensitivity)
    size = "T 100, H 64" if large else "small"
    for label, values in worst.items():
        cells = " | ".join(f"{values[name]:.1f}" for name in NAMES)
        yield f"| {label} | {dtype} | {size} | {compared} | {left_out} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, help="small cases; a fortieth as many large ones")
    cases = parser.parse_args().cases
    layers: dict[str, Run] = {}
    for name, make in FRAMEWORKS.items():
        if importlib.util.find_spec(name) is not None:
            layers |= make()
    print(f"| implementation | dtype | size | compared | left out | {' | '.join(NAMES)} |")
    print("|---|---|---|" + "---:|" * (2 + len(NAMES)))
    for dtype in ("float32", "float64"):
        for large, count in ((False, cases), (True, max(1, cases // 40))):
            for row in rows(layers, range(count), large, dtype):
                print(row, flush=True)


if __name__ == "__main__":
    main()
