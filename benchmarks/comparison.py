"""The comparison kernel beside numpy.testing.assert_allclose and torch.testing.assert_close, as ratios to one copy.

    python -m benchmarks.comparison [--large]

Prints a Markdown table: each cell is the best time of several over the time of copying the actual array, so that tables
of different machines can be compared. `--large` adds 1e8 elements (8 GB of memory, most of it for the others). What
starting the compiled kernel costs is measured in fresh processes: importing Numba with the code loaded from its cache,
and compiling it anew.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from harness.comparison.kernel import compare_arrays

LIMIT = 1e-5
START = """
import time, numpy as np
from harness.comparison.kernel import compare_arrays
a = np.ones(100_000, np.float32)
compare_arrays(a, a, 0.0, engine="numpy")
t = time.perf_counter()
for e in (a, a.astype(float)):
    compare_arrays(a, e, 0.0, engine="numba")
print(time.perf_counter() - t)
"""


def best(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The shortest time of each call over rounds of all of them, so that a busy machine disturbs them alike."""
    times = dict.fromkeys(calls, float("inf"))
    start = time.perf_counter()
    rounds = 0
    while rounds < 3 or time.perf_counter() - start < seconds:
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            times[name] = min(times[name], time.perf_counter() - begun)
        rounds += 1
    return times


def contenders(actual: np.ndarray, expected: np.ndarray) -> dict[str, Callable[[], object]]:
    calls: dict[str, Callable[[], object]] = {
        "kernel, NumPy": lambda: compare_arrays(actual, expected, LIMIT, engine="numpy"),
        "kernel, Numba": lambda: compare_arrays(actual, expected, LIMIT, engine="numba"),
        "kernel, Numba, no digest": lambda: compare_arrays(actual, expected, LIMIT, engine="numba", with_digest=False),
        "np.allclose": lambda: np.allclose(actual, expected, rtol=0, atol=LIMIT),
        "np.testing.assert_allclose": lambda: np.testing.assert_allclose(actual, expected, rtol=0, atol=LIMIT),
    }
    try:
        import torch
    except ImportError:
        return calls
    first, second = torch.from_numpy(actual), torch.from_numpy(expected)
    options = {"rtol": 0, "atol": LIMIT, "check_dtype": False}
    calls["torch.testing.assert_close"] = lambda: torch.testing.assert_close(first, second, **options)
    return calls


def table(sizes: list[int]) -> list[str]:
    rng = np.random.default_rng(0)
    columns: list[dict[str, float]] = []
    heads = []
    for size in sizes:
        for judge in (np.float32, np.float64):
            actual = rng.standard_normal(size, dtype=np.float32)
            expected = actual.astype(judge)
            expected *= 1 + judge(1e-7) * rng.standard_normal(size, dtype=np.float32)
            target = np.empty_like(actual)
            calls = {"copy": functools.partial(np.copyto, target, actual), **contenders(actual, expected)}
            times = best(calls, seconds=15.0)
            copy = times.pop("copy")
            heads.append(f"{size:.0e}, {np.dtype(judge).name}")
            columns.append({name: taken / copy for name, taken in times.items()})
            print(f"{heads[-1]}: copy {copy * 1e3:.3g} ms", file=sys.stderr)
    lines = [f"| float32 against | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    lines += [f"| {name} | {' | '.join(f'{column[name]:.1f}' for column in columns)} |" for name in columns[0]]
    return lines


def start_up() -> list[str]:
    """Seconds until the compiled kernel has answered for the first time, with and without its cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        cold, warm = (
            float(
                subprocess.run([sys.executable, "-c", START], env=environment, check=True, capture_output=True).stdout
            )
            for _ in range(2)
        )
    size = 10_000_000
    ones = np.ones(size, np.float32)
    near = np.nextafter(ones, np.float32(2))
    engines = {
        engine: functools.partial(compare_arrays, ones, near, 0.0, engine=engine) for engine in ("numpy", "numba")
    }
    times = best(engines, seconds=5.0)
    saved = (times["numpy"] - times["numba"]) / size
    return [
        f"Starting the compiled kernel: {cold:.1f} s to compile, {warm:.2f} s from its cache. It saves {saved * 1e9:.1f} ns an",
        f"element, so that pays from {warm / saved:.1e} elements on (compiling: {cold / saved:.1e}).",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 1e8 elements")
    sizes = [10**6, 10**7] + ([10**8] if parser.parse_args().large else [])
    print("\n".join([*table(sizes), "", *start_up()]))


if __name__ == "__main__":
    main()
