"""Printed outputs are compared without any draws, and wrong ones fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cases import load
from harness.comparison.context import Context
from harness.comparison.recorded import findings
from harness.records import BackendRef, Variant, Verdict

DOCUMENTS = Path(__file__).parents[2] / "cases" / "documents"
PRINTED = [path for path in sorted(DOCUMENTS.glob("*.yaml")) if "recorded:" in path.read_text(encoding="utf-8")]
PRINTED_Y = "[[0.0, 1.399], [1.771, 2.533], [4.759, 3.973], [5.562, 5.94], [8.882, 9.891]]"


def printed(path: Path) -> list[tuple[Variant, BackendRef]]:
    """Every recorded result of a case file, with its variant."""
    return [(variant, ref) for variant in load([path]) for ref in variant.backends if ref.recorded is not None]


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_what_a_document_printed_is_compared(path: Path) -> None:
    assert printed(path)
    for variant, backend in printed(path):
        verdicts = {finding.name: finding.verdict for finding in findings(Context(variant), backend)}
        assert verdicts
        assert set(verdicts.values()) <= {Verdict.PASS, Verdict.FAIL}, verdicts


def test_noise_that_touches_too_few_elements_is_seen_in_a_printed_output(tmp_path: Path) -> None:
    text = (DOCUMENTS / "002-gaussian-dropout-printed.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "case.yaml"
    wrong.write_text(text.replace(PRINTED_Y, "[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.891]]"))
    ((variant, backend),) = printed(wrong)
    verdicts = {finding.name: finding.verdict for finding in findings(Context(variant), backend)}
    assert verdicts["noise.elements"] is Verdict.FAIL
