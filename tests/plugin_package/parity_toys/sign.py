"""A check of the kind `halving`: no sign changes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.records import Verdict


@check("toy.sign", lambda context: ["toy.sign"] if context.variant.layer == "halving" else [])
def sign(evidence: Any) -> Iterator[Finding]:
    """y has the sign of x everywhere."""
    x = evidence.context.arrays()[0]["x"]
    for one, result in evidence.main:
        changed = int(np.count_nonzero(np.sign(result.outputs["y"]) != np.sign(x)))
        cause = f"{changed} signs changed" if changed else ""
        verdict = Verdict.FAIL if changed else Verdict.PASS
        yield Finding("toy.sign", verdict, changed, 0, "elements", cause=cause, seed=str(one.seed))
