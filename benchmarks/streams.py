"""Masks of 1e7 elements: the oracle's time over the framework's own draw, in one run: `python benchmarks/streams.py`.

Ratios, because times on shared machines don't compare. Below 1 the oracle is faster. Both sides make a bool mask: the
framework calls its dropout's own random op and compares, as its dropout does. Measured with Numba where it is installed
and without; the best of several interleaved rounds counts. --json prints the ratios for machines.

    python benchmarks/streams.py --only torch --count 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

Draw = Callable[[], Any]


def torch_draws(count: int) -> dict[str, tuple[Draw, dict[str, Any]]]:
    """F.dropout's mask, bernoulli of probabilities, and Keras's draw on torch."""
    import torch

    probabilities = torch.full((count,), 0.5)
    mask = torch.empty(count)
    return {
        "torch.nn.Dropout (bernoulli_)": (lambda: mask.bernoulli_(0.5), {"like": "torch.nn.Dropout"}),
        "torch.bernoulli": (lambda: torch.bernoulli(probabilities), {"like": "torch.bernoulli"}),
        "keras on torch": (
            lambda: torch.bernoulli(probabilities, generator=torch.Generator().manual_seed(5)),
            {"like": "keras.layers.Dropout", "backend": "torch"},
        ),
    }


def tensorflow_draws(count: int) -> dict[str, tuple[Draw, dict[str, Any]]]:
    """uniform >= rate as tf.nn.dropout does, stateful and stateless."""
    import tensorflow as tf

    draws: dict[str, tuple[Draw, dict[str, Any]]] = {}
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        rate = tf.constant(0.5, dtype)
        draws[f"tf.nn.dropout {dtype}"] = (
            lambda dtype=dtype, rate=rate: tf.random.uniform([count], dtype=dtype, seed=1) >= rate,
            {"like": "tf.nn.dropout", "dtype": dtype, "op_seed": 1},
        )
    draws["stateless (Keras on TensorFlow)"] = (
        lambda: tf.random.stateless_uniform([count], seed=[1, 2]) >= 0.5,
        {"like": "keras.layers.Dropout", "backend": "tensorflow"},
    )
    return draws


def jax_draws(count: int) -> dict[str, tuple[Draw, dict[str, Any]]]:
    """jax.random.bernoulli, compiled, for each implementation."""
    import functools

    import jax

    draws: dict[str, tuple[Draw, dict[str, Any]]] = {}
    bernoulli = jax.jit(functools.partial(jax.random.bernoulli, p=0.5, shape=(count,)))
    for implementation in ("threefry2x32", "rbg"):
        key = jax.random.key(3, impl=implementation)
        draws[f"jax {implementation}"] = (
            lambda key=key: bernoulli(key).block_until_ready(),
            {"like": "jax.random.bernoulli", "impl": implementation},
        )
    jax.config.update("jax_threefry_partitionable", False)
    original = jax.jit(functools.partial(jax.random.bernoulli, p=0.5, shape=(count,)))
    original(jax.random.key(3))
    jax.config.update("jax_threefry_partitionable", True)
    key = jax.random.key(3)
    draws["jax threefry2x32, original"] = (
        lambda: _with_original(jax, original, key),
        {"like": "jax.random.bernoulli", "partitionable": False},
    )
    return draws


def _with_original(jax: Any, function: Callable[..., Any], key: Any) -> Any:
    jax.config.update("jax_threefry_partitionable", False)
    try:
        return function(key).block_until_ready()
    finally:
        jax.config.update("jax_threefry_partitionable", True)


def numpy_draws(count: int) -> dict[str, tuple[Draw, dict[str, Any]]]:
    """Keras on NumPy draws doubles; MCG31m1 has no framework to run beside it but old torch, so NumPy's own draw."""
    import numpy as np

    return {
        "keras on numpy": (
            lambda: np.random.default_rng([5, 0]).uniform(size=count) < 0.5,
            {"like": "keras.layers.Dropout", "backend": "numpy"},
        ),
        "torch 2.6 with MKL, over NumPy's PCG64 doubles": (
            lambda: np.random.default_rng([5, 0]).uniform(size=count) < 0.5,
            {"like": "torch.nn.Dropout", "version": "2.6"},
        ),
    }


FRAMEWORKS = {"torch": torch_draws, "tensorflow": tensorflow_draws, "jax": jax_draws, "numpy": numpy_draws}


def ratios(framework: str, count: int, rounds: int) -> dict[str, float]:
    """Return the ratio for each stream of a framework: best of the oracle over best of the framework."""
    from harness.streams import predict

    found = {}
    for name, (draw, query) in FRAMEWORKS[framework](count).items():
        best = [float("inf"), float("inf")]
        oracle: Draw = lambda query=query: predict(seed=3, shape=(count,), **query)  # noqa: E731
        draw(), oracle()
        for _ in range(rounds):
            for side, function in enumerate((oracle, draw)):
                start = time.perf_counter()
                function()
                best[side] = min(best[side], time.perf_counter() - start)
        found[name] = best[0] / best[1]
    return found


def main() -> None:
    """Run every framework in a process of its own, with Numba and without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(FRAMEWORKS), action="append", help="this framework; may be repeated")
    parser.add_argument("--count", type=int, default=10_000_000, help="elements of a mask")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(ratios(arguments.inside, arguments.count, arguments.rounds)))
        return
    table: dict[str, dict[str, float]] = {}
    for framework in arguments.only or FRAMEWORKS:
        for numba in ("1", "0"):
            command = [sys.executable, __file__, "--inside", framework, "--count", str(arguments.count)]
            command += ["--rounds", str(arguments.rounds)]
            environment = {**os.environ, "HARNESS_NUMBA": numba}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                last = done.stderr.strip().splitlines()[-1:]
                print(f"{framework}: not measured: {''.join(last)}", file=sys.stderr)
                break
            for name, ratio in json.loads(done.stdout.splitlines()[-1]).items():
                table.setdefault(name, {})["numba" if numba == "1" else "numpy"] = ratio
    if arguments.json:
        print(json.dumps({"count": arguments.count, "ratios": table}, indent=1))
        return
    print(f"{'stream':50} {'Numba':>8} {'NumPy':>8}   (oracle / framework, {arguments.count} elements)")
    for name, row in table.items():
        print(f"{name:50} {row.get('numba', float('nan')):8.2f} {row.get('numpy', float('nan')):8.2f}")


if __name__ == "__main__":
    main()
