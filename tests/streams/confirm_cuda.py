"""Compare the CUDA rules with a device: `python tests/streams/confirm_cuda.py > cuda.json`.

Needs torch with CUDA and NumPy. Prints one JSON object: the device, and for each probe whether the rule of
harness/streams/rules/torch_cuda.py gives the device's mask bit for bit; where it doesn't, which variants of the layout
do (vector width, lanes, launch size), so that the rule can be corrected from the output alone. Exit code 1 if any rule
disagreed.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.streams.rules import torch_cuda as rules

SEEDS = (0, 7, -5, 2**33 + 1)
COUNTS = (1, 2, 3, 12, 255, 256, 1000, 1002, 4096, 100_003, 1 << 20, 5_000_000)
DTYPES = ("float32", "float64", "float16", "bfloat16")


def lanes(index: np.ndarray, total: int, width: int, style: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variants of where an element's word lies, for a width above 1."""
    group = index // width
    turn, inside = group // total, index % width
    if style == "rule":
        return rules.placed(index, total, width)
    if style == "fresh":  # a new block for every vector, words from lane 0 on
        return group % total, turn * -(-width // 4) + inside // 4, inside % 4
    if style == "packed":  # the words of a thread are used one after the other
        word = turn * width + inside
        return group % total, word // 4, word % 4
    raise ValueError(style)


def variants(mask: np.ndarray, seed: int, keep: float, offset: int, props: Any) -> list[dict[str, Any]]:
    """Return the layouts that give the mask."""
    count, found = mask.size, []
    index = np.arange(count, dtype=np.int64)
    full = props.multi_processor_count * (props.max_threads_per_multi_processor // 256)
    launches = {256 * max(1, min(-(-count // 256), full)), 256 * max(1, min(-(-count // 1024), full))}
    launches |= {256 * max(1, min(-(-count // (256 * width)), full)) for width in (2, 4, 8)}
    for total, width, at in itertools.product(sorted(launches), (1, 2, 4, 8, 16), sorted({offset, 0})):
        for style in ("rule", "fresh", "packed") if width > 1 else ("rule",):
            thread, turn, lane = lanes(index, total, width, style)
            words = rules.words_at(seed, at, thread, turn, lane)
            for name, least in thresholds(keep).items():
                if np.array_equal(words < least, mask):
                    found.append({"threads": total, "width": width, "style": style, "offset": at, "uniform": name})
    for total, at in itertools.product(sorted(launches), sorted({offset, 0})):
        if np.array_equal(doubles(seed, at, index, total) < keep, mask):
            found.append({"threads": total, "uniform": "double of two words", "offset": at})
    return found


def doubles(seed: int, offset: int, index: np.ndarray, total: int) -> np.ndarray:
    """Uniforms of cuRAND's curand_uniform2_double: two words make a double, two doubles a block."""
    turn = index // total
    first, second = (
        rules.words_at(seed, offset, index % total, turn // 2, turn % 2 * 2 + half).astype(np.uint64) for half in (0, 1)
    )
    return (first ^ (second << np.uint64(21))) * 2.0**-53 + 2.0**-54


def thresholds(keep: float) -> dict[str, int]:
    """Readings of u < keep and u <= keep."""
    least = rules.kept_below(keep)
    up = rules.threshold(
        32, lambda word: bool(np.float32(word) * np.float32(2.0**-32) + np.float32(2.0**-33) > np.float32(keep))
    )
    return {"u < keep": least, "u <= keep": up}


def main() -> int:
    """Probe, print JSON, and return the exit code."""
    import torch

    if not torch.cuda.is_available():
        print(json.dumps({"error": "no CUDA device"}))
        return 2
    props = torch.cuda.get_device_properties(0)
    report: dict[str, Any] = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": props.name,
        "sm_count": props.multi_processor_count,
        "threads_per_sm": props.max_threads_per_multi_processor,
        "probes": [],
    }
    calls = {
        "dropout": (lambda x, p: torch.nn.functional.dropout(x, p, True) != 0, True),
        "native_dropout": (lambda x, p: torch.native_dropout(x, p, True)[1], True),
        "bernoulli_": (lambda x, p: x.clone().bernoulli_(1 - p) != 0, False),
    }
    for (name, (function, fused)), dtype, count in itertools.product(calls.items(), DTYPES, COUNTS):
        for seed, rate in ((SEEDS[count % 4], 0.5), (7, 0.1)):
            torch.cuda.manual_seed(seed)
            offset = 0
            for call in range(2):
                total = rules.threads(count, report["sm_count"], report["threads_per_sm"])
                width = rules.vector_width(count, dtype) if fused else 1
                index = np.arange(count, dtype=np.int64)
                words = rules.words_at(seed, offset, *rules.placed(index, total, width))
                mask = function(torch.ones(count, dtype=getattr(torch, dtype), device="cuda"), rate).cpu().numpy()
                agree = bool(np.array_equal(words < rules.kept_below(1 - rate), mask))
                # The generator's own offset, as CUDA's state tensor tells it: seed and offset as 64-bit words.
                state = torch.cuda.get_rng_state().numpy().tobytes()
                moved = int.from_bytes(state[8:16], "little")
                probe: dict[str, Any] = {
                    "call": name,
                    "dtype": dtype,
                    "count": count,
                    "seed": seed,
                    "rate": rate,
                    "turn": call,
                    "agree": agree,
                    "offset_as_predicted": moved == offset + rules.growth(count, total),
                    "offset_after": moved,
                }
                if not agree:
                    probe["differing"] = float(np.mean((words < rules.kept_below(1 - rate)) != mask))
                    if count <= 100_003 and rate == 0.5:
                        probe["variants"] = variants(mask, seed, 1 - rate, offset, props)
                report["probes"].append(probe)
                offset = moved
    failed = [p for p in report["probes"] if not (p["agree"] and p["offset_as_predicted"])]
    report["agreeing"] = len(report["probes"]) - len(failed)
    report["disagreeing"] = len(failed)
    by_kind: dict[str, list[int]] = {}
    for p in report["probes"]:
        counts = by_kind.setdefault(f"{p['call']} {p['dtype']}", [0, 0])
        counts[0 if p["agree"] else 1] += 1
    report["by_kind (agree, not)"] = by_kind
    # Only what disagreed is worth reading one by one.
    report["probes"] = failed
    print(json.dumps(report, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
