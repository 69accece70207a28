"""Dropout on the output of a layer that returns its last step alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from simulated import variant

from harness.records import BackendRef, Verdict
from tests.workers import run

PORT = str(Path(__file__).parents[1] / "frameworks" / "ports" / "last_torch.py") + ":run"
SIZES = {"x": (2, 3, 2)}
KINDS = [
    ("lstm", {}, SIZES, "output"),
    ("lstm", {"go_backwards": True}, SIZES, "output"),
    ("lstm", {"bidirectional": True}, SIZES, "output"),
    ("lstm", {"layers": 2}, SIZES, "output"),
    ("gru", {}, SIZES, "output"),
    ("simple_rnn", {}, SIZES, "output"),
    ("encoder_decoder", {}, {"x": (2, 3, 2), "z": (2, 4, 2)}, "decoder.output"),
]


@pytest.mark.parametrize(("layer", "config", "inputs", "at"), KINDS, ids=lambda part: str(part))
def test_every_kind_compares_it(
    layer: str, config: dict[str, object], inputs: dict[str, tuple[int, ...]], at: str
) -> None:
    case = variant(layer, {"units": 8, **config}, inputs, [{"at": at, "rate": 0.5}], backends=(BackendRef("numpy"),))
    for compared in run([case]):
        bad = [
            (row.check, row.cause) for row in compared.rows if row.verdict not in (Verdict.PASS, Verdict.UNSUPPORTED)
        ]
        assert bad == []


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["native", "replay"])
def test_one_case_serves_a_mask_of_the_sequence_and_one_of_the_last_step(draws: str) -> None:
    pytest.importorskip("torch")
    ways = ("sequence", "step", "unscaled")
    ports = tuple(BackendRef("torch", way, target=PORT, options={"dropped": way}) for way in ways)
    case = variant(
        "lstm", {"units": 6}, {"x": (6, 3, 5)}, [{"at": "output", "rate": 0.5}], gradients=False, draws=draws
    )
    found = dict(zip(ways, run([dataclasses.replace(case, backends=ports)]), strict=True))
    for way in ("sequence", "step"):
        assert [(row.check, row.cause) for row in found[way].rows if row.verdict is not Verdict.PASS] == []
    failed = {row.check for row in found["unscaled"].rows if row.verdict is Verdict.FAIL}
    assert {"scale.survivors", "value.y"} <= failed
