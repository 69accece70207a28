"""Loading a thousand cases, as ratios to what nobody can avoid: libyaml's events, and starting Python with NumPy and pydantic.

    python -m benchmarks.cases [--cases 1000]

Prints a Markdown table. Times are processor time, best of several: ratios hold on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.events import StreamEndEvent

from harness.cases import document, iterate, load
from harness.cases.building import Builder

CASE = """\
about: One input mask for the whole sequence, one for each gate; case {number}.
layer: lstm
config: {{units: {units}, return_sequences: true, return_state: true}}
dropout:
  - {{at: input, rate: 0.5, shared: [time]}}
  - {{at: state.h, rate: 0.25, shared: [time]}}
inputs: {{x: {{shape: [5, 7, 3], fill: normal, seed: {number}}}}}
weights: {{fill: uniform, seed: 2}}
seeds: [0, 1, 2]
mode: train
draws: native            # native | replay
backends:
  - numpy
  - torch: torch.nn.LSTM
  - jax
expect:                  # a known difference: needs a reason, and a date when someone looks again
  - {{backend: "torch: torch.nn.LSTM", check: mask.shared, reason: "draws anew at every step", until: 2027-06-30}}
"""
MATRIX = "matrix: {{timeout: [{numbers}], gradients: [true, false]}}\n"
START = "import numpy, pydantic\nclass A(pydantic.BaseModel): x: int\n"
PROCESS = """
import sys
from harness.cases import load
load(sys.argv[1:])
"""


def best(call: Callable[[], object], times: int = 5) -> float:
    """The least processor time of a call; the collector rests, as it does in `load`."""
    found = []
    for _ in range(times):
        gc.collect()
        gc.disable()
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
        gc.enable()
    return min(found)


def process(code: str, *arguments: str, times: int = 5) -> tuple[float, float]:
    """The least processor time and wall time of a fresh Python that runs `code`."""
    cpu, wall = [], []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True)
        wall.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(cpu), min(wall)


def events(text: str) -> None:
    """What parsing costs at least: libyaml's events, unread."""
    take = document.CParser(text).get_event
    while type(take()) is not StreamEndEvent:
        pass


def peak(call: Callable[[], object]) -> float:
    """The most memory that a call holds, MiB."""
    tracemalloc.start()
    call()
    found = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    count = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPATH"] = str(Path.cwd())
        os.chdir(folder)
        for number in range(count):
            Path(f"{number:05}.yaml").write_text(CASE.format(number=number, units=number % 50 + 1))
        numbers = ", ".join(map(str, range(1, 5001)))
        Path("matrix.txt").write_text(CASE.format(number=0, units=3) + MATRIX.format(numbers=numbers))
        texts = [Path(f"{number:05}.yaml").read_text() for number in range(count)]
        assert len(load(["."])) == count
        bare = best(lambda: [events(text) for text in texts])
        some = texts[: max(1, count // 50)]
        slow = best(lambda: [YAML(typ="safe", pure=True).load(text) for text in some], 2) * count / len(some)
        documents = [document.parse(text, "x") for text in texts]
        print(f"{count} cases of {len(texts[0])} characters\n\n| step | ms | of libyaml's events |\n|---|---|---|")
        for name, seconds in (
            ("libyaml's events, unread", bare),
            ("ruamel.yaml, safe loader in Python", slow),
            ("values with their places", best(lambda: [document.parse(text, "x") for text in texts])),
            ("checking and building", best(lambda: [list(Builder(one, ".").variants()) for one in documents])),
            ("`load` of the folder", best(lambda: load(["."]))),
            ("`load` of one case with 10 000 variants", best(lambda: load(["matrix.txt"]), 2)),
        ):
            print(f"| {name} | {seconds * 1000:.0f} | {seconds / bare:.1f} |")
        start, start_wall = process(START)
        whole, whole_wall = process(PROCESS, ".")
        print("\n| process | ms processor | ms wall | of the start |\n|---|---|---|---|")
        print(f"| Python, NumPy, pydantic | {start * 1000:.0f} | {start_wall * 1000:.0f} | 1.0 |")
        print(f"| ... and load {count} cases | {whole * 1000:.0f} | {whole_wall * 1000:.0f} | {whole / start:.1f} |")
        few = peak(lambda: sum(1 for _ in iterate([f"{number:05}.yaml" for number in range(10)])))
        many = peak(lambda: sum(1 for _ in iterate(["."])))
        variants = peak(lambda: sum(1 for _ in iterate(["matrix.txt"])))
        print("\n| memory while iterating | MiB |\n|---|---|")
        print(f"| 10 cases | {few:.2f} |\n| {count} cases | {many:.2f} |\n| 10 000 variants of one | {variants:.2f} |")


if __name__ == "__main__":
    main()
