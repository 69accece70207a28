"""What a run costs over the bare framework calls and imports that it contains.

    python benchmarks/run.py [--cases 200]

Makes small cases (dropout and LSTM, two shapes, several rates and seeds), runs them with `harness run`, and runs the same calls
of the same layers, forward and backward, in a plain script: all frameworks in one process, one call after another, as people
compare by hand. Prints seconds and the ratio; times depend on the machine, ratios much less. Each side runs in processes of its
own, in turn. JAX compiles in both; `--keep-cache` keeps the harness's compilation cache between the rounds, as users have it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BACKENDS = {
    "dropout": [
        ("tensorflow", "keras.layers.Dropout"),
        ("torch", "torch.nn.Dropout"),
        ("jax", "flax.nnx.Dropout"),
        ("jax", "equinox.nn.Dropout"),
    ],
    "lstm": [
        ("tensorflow", "keras.layers.LSTM"),
        ("torch", "torch.nn.LSTM"),
        ("jax", "equinox.nn.LSTMCell"),
    ],
}
SHAPES = [(4, 6, 5), (8, 5, 3)]
UNITS = 8

BARE = r"""
import json, os, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
cases = json.load(open(sys.argv[1]))
import torch, tensorflow as tf, keras, jax, jax.numpy as jnp, equinox as eqx
from flax import nnx
from functools import partial

def data(shape):
    r = np.random.default_rng(1)
    d, h = shape[-1], 8
    return (r.standard_normal(shape, dtype=np.float32),
            [r.random(s, dtype=np.float32) - .5 for s in ((d, 4 * h), (h, 4 * h), (4 * h,))])

def torch_dropout(x, rate, seed, train):
    torch.manual_seed(seed)
    layer = torch.nn.Dropout(rate).train(train)
    t = torch.tensor(x, requires_grad=True)
    y = layer(t); y.backward(torch.ones_like(y))
    return y.detach().numpy(), t.grad.numpy()

def keras_dropout(x, rate, seed, train):
    layer = keras.layers.Dropout(rate, seed=seed)
    t = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = layer(t, training=train)
    return y.numpy(), tape.gradient(y, t).numpy()

@partial(jax.jit, static_argnums=(1, 3))
def _nnx(x, rate, key, train):
    def f(x):
        return nnx.Dropout(rate, rngs=nnx.Rngs(key), deterministic=not train)(x)
    y, back = jax.vjp(f, x)
    return y, back(jnp.ones_like(y))[0]

@partial(jax.jit, static_argnums=(1, 3))
def _eqx(x, rate, key, train):
    def f(x):
        return eqx.nn.Dropout(rate, inference=not train)(x, key=key)
    y, back = jax.vjp(f, x)
    return y, back(jnp.ones_like(y))[0]

def nnx_dropout(x, rate, seed, train):
    return [np.asarray(a) for a in _nnx(x, rate, jax.random.key(seed), train)]

def eqx_dropout(x, rate, seed, train):
    return [np.asarray(a) for a in _eqx(x, rate, jax.random.key(seed), train)]

def torch_lstm(x, w, train):
    layer = torch.nn.LSTM(x.shape[-1], 8, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.from_numpy(w[0].T)); layer.weight_hh_l0.copy_(torch.from_numpy(w[1].T))
        layer.bias_ih_l0.copy_(torch.from_numpy(w[2])); layer.bias_hh_l0.zero_()
    t = torch.tensor(x, requires_grad=True)
    y, (h, c) = layer(t); (y.sum() + h.sum() + c.sum()).backward()
    return [a.detach().numpy() for a in (y, h, c, t.grad, *(p.grad for p in layer.parameters()))]

def keras_lstm(x, w, train):
    layer = keras.layers.LSTM(8, return_sequences=True, return_state=True)
    t = tf.Variable(x); layer.build(x.shape); layer.set_weights(w)
    with tf.GradientTape() as tape:
        y, h, c = layer(t, training=train); loss = tf.reduce_sum(y) + tf.reduce_sum(h) + tf.reduce_sum(c)
    return [a.numpy() for a in (y, h, c, *tape.gradient(loss, [t, *[v.value for v in layer.trainable_variables]]))]

@jax.jit
def _lstm(x, w):
    def f(x, w):
        cell = eqx.nn.LSTMCell(x.shape[-1], 8, key=jax.random.key(0))
        cell = eqx.tree_at(lambda c: (c.weight_ih, c.weight_hh, c.bias), cell, (w[0].T, w[1].T, w[2]))
        zero = jnp.zeros((x.shape[0], 8))
        def step(carry, xt):
            carry = jax.vmap(cell)(xt, carry); return carry, carry[0]
        (h, c), ys = jax.lax.scan(step, (zero, zero), jnp.swapaxes(x, 0, 1))
        return jnp.swapaxes(ys, 0, 1), h, c
    out, back = jax.vjp(f, x, w)
    return out, back(tuple(jnp.ones_like(o) for o in out))

def eqx_lstm(x, w, train):
    return jax.tree.map(np.asarray, _lstm(x, w))

DROPOUT = {"keras.layers.Dropout": keras_dropout, "torch.nn.Dropout": torch_dropout,
           "flax.nnx.Dropout": nnx_dropout, "equinox.nn.Dropout": eqx_dropout}
LSTM = {"keras.layers.LSTM": keras_lstm, "torch.nn.LSTM": torch_lstm, "equinox.nn.LSTMCell": eqx_lstm}
calls = 0
for case in cases:
    x, w = data(tuple(case["shape"]))
    if case["layer"] == "dropout":
        for f in DROPOUT.values():
            # what the harness calls too: the seed, the seed again, another one, evaluation
            for seed, train in ((case["seed"], True), (case["seed"], True), (case["seed"] + 1, True), (case["seed"], False)):
                f(x, case["rate"], seed, train); calls += 1
    else:
        for f in LSTM.values():
            for _ in range(2):
                f(x, w, True); calls += 1
print(calls)
"""


def make_cases(count: int, folder: Path) -> list[dict[str, object]]:
    """Write `count` small cases as YAML files and return what they are."""
    made: list[dict[str, object]] = []
    for index in range(count):
        shape = SHAPES[index % 2]
        layer = "lstm" if index % 4 == 3 else "dropout"
        rate = (0.2, 0.5)[index // 2 % 2]
        made.append({"layer": layer, "shape": shape, "rate": rate, "seed": index})
        config = (
            f"{{rate: {rate}}}"
            if layer == "dropout"
            else f"{{units: {UNITS}, return_sequences: true, return_state: true}}"
        )
        backends = "\n".join(f"  - {backend}: {name}" for backend, name in BACKENDS[layer])
        (folder / f"case{index:04}.yaml").write_text(
            f"about: Benchmark.\nlayer: {layer}\nconfig: {config}\nseeds: [{index}]\n"
            f"inputs: {{x: {{shape: {list(shape)}, fill: normal, seed: {index}}}}}\nbackends:\n{backends}\n"
        )
    return made


def timed(command: list[str], **variables: str) -> tuple[float, float]:
    """Wall seconds of a command, and the CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[:4]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-cache", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cases").mkdir()
        made = make_cases(arguments.cases, folder / "cases")
        (folder / "cases.json").write_text(json.dumps(made))
        (folder / "bare.py").write_text(BARE)
        ours, bare = [], []
        for index in range(arguments.rounds):
            cache = str(folder / ("cache" if arguments.keep_cache else f"cache{index}"))
            bare.append(timed([sys.executable, str(folder / "bare.py"), str(folder / "cases.json")]))
            run = [
                sys.executable,
                "-m",
                "harness",
                "run",
                str(folder / "cases"),
                "--out",
                str(folder / "out"),
                "--quiet",
            ]
            ours.append(timed(run, HARNESS_JAX_CACHE=cache))
            print(f"round {index}: bare {bare[-1][0]:.1f} s wall, {bare[-1][1]:.1f} s CPU; "
                  f"harness {ours[-1][0]:.1f} s wall, {ours[-1][1]:.1f} s CPU", flush=True)  # fmt: skip
        ratio = statistics.median(mine[0] / other[0] for mine, other in zip(ours, bare, strict=True))
        print(f"{arguments.cases} cases: the harness takes {ratio:.2f} times the wall time of the bare calls")


if __name__ == "__main__":
    main()
