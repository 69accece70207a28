"""Ports as other people write them (tests/strangers): right ones pass, of wrong ones the first cause names the fault.

The manifests were written before the harness saw a port; `first` is what it said then. What it does not name yet is listed in
UNNAMED: such a port still fails, and one that is named by now has to leave the list.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.cases.document import read
from harness.records import Row
from harness.reporting.groups import grouped
from harness.reporting.verdicts import DIFFERENCES
from tests.workers import shared

FOLDER = Path(__file__).parent / "strangers"
PACKAGES = {
    "torch": ("torch",),
    "numpy": (),
    "jax": ("jax", "flax", "equinox"),
    "tensorflow": ("tensorflow", "tf_keras"),
}
PACKAGES["keras"] = ("keras", "jax", "torch", "tensorflow")

#: Wrong ports whose first cause is not the planted one yet.
UNNAMED = frozenset(
    f"{case}.yaml"
    for case in (
        *(
            "torch/graves_speech",
            "torch/packed_last",
            "torch/bilstm_tagger",
            "torch/traffic_seq2seq",
            "torch/zoneout_tts",
        ),
        *(
            "torch/dropconnect_speaker",
            "numpy/semeniuta",
            "numpy/zoneout_np",
            "jax/zoneout_swapped",
            "jax/bidir_unflipped",
        ),
        *("jax/truncated_bptt", "jax/weightdrop_kernel", "jax/padded_last_repeat", "tensorflow/peephole_tf2"),
        *("keras/bidir_both_forward", "keras/stack_jax", "keras/zoneout_eval", "tensorflow/tf1_peephole"),
    )
)
#: Wrong ports that pass: a case with zeros after the end says the same of the last step, and masks of two sites are not compared.
MISSED = frozenset({"jax/padded_last.yaml", "jax/seq2seq_one_key.yaml"})
#: Right ports that are not compared or fail: code in TensorFlow 1; gradients that a NumPy port takes of a sum of its own.
REFUSED = frozenset({"tensorflow/tf1_basic_cell.yaml", "numpy/rnn_bptt.yaml"})


@functools.cache
def entries() -> dict[str, dict[str, Any]]:
    found = [one for file in sorted(FOLDER.glob("*.yaml")) for one in read(str(file), file.name).value]
    return {one["case"]: one for one in found}


def differing(case: str) -> list[Row]:
    for package in PACKAGES[case.partition("/")[0]]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}")
    result = harness.run(FOLDER / case, runner=shared())
    assert result.rows
    return [row for row in result.rows if row.verdict in DIFFERENCES]


def test_the_manifests_name_every_port_once() -> None:
    assert set(entries()) == {str(file.relative_to(FOLDER)) for file in FOLDER.glob("*/*.yaml")}
    assert sum(not one["right"] for one in entries().values()) >= 60
    assert sum(one["right"] for one in entries().values()) >= 40
    assert set(entries()) >= UNNAMED | MISSED | REFUSED


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(entries()))
def test_right_ports_pass_and_wrong_ones_are_named(case: str) -> None:
    entry = entries()[case]
    rows = differing(case)
    if entry["right"]:
        assert bool(rows) == (case in REFUSED), [group.headline for group in grouped(rows)]
        return
    assert bool(rows) != (case in MISSED)
    if rows:
        first = grouped(rows)[0].headline
        assert bool(re.search(entry["cause"], first, re.IGNORECASE)) == (case not in UNNAMED), first


@pytest.mark.slow
def test_a_site_that_drew_nothing_is_no_error_of_ours() -> None:
    """Its profile once ended the run of this one with exit 3."""
    assert [row.cause for row in differing("torch/forecast_lstm.yaml") if row.internal] == []
