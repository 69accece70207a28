"""Ports of tests/frameworks/ports on small cases of dropout, several in one run: starting a framework is what takes the time."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
from simulated import variant

from harness.noises import Site
from harness.records import BackendRef, Compared, Variant, Verdict
from harness.reporting.verdicts import reason
from tests.workers import run

PORTS = Path(__file__).parent / "ports"
#: Two axes of one size: shapes do not tell a time-major draw from a batch-major one.
SQUARE = (8, 8, 10)


def dropout(framework: str, target: str, **changes: object) -> Variant:
    """A dropout layer with one port as its backend."""
    made = variant(
        "dropout",
        {"rate": 0.4},
        {"x": SQUARE},
        backends=(BackendRef(framework, name="my-port", target=str(PORTS / target)),),
        gradients=framework != "numpy",
        timeout=300.0,
    )
    return dataclasses.replace(made, **changes)


def outcomes(framework: str, file: str, *functions: str, **changes: object) -> dict[str, Compared]:
    """What each function of a file of ports gave."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    variants = [dropout(framework, f"{file}:{function}", **changes) for function in functions]
    return dict(zip(functions, run(variants), strict=True))


def differences(found: Compared) -> dict[str, str]:
    """The rows that are no pass, with verdict and cause."""
    return {row.check: f"{row.verdict}: {reason(row)}" for row in found.rows if row.verdict is not Verdict.PASS}


INPUT = ("gates", "batch", "time", "features")
PLAIN = ("batch", "time", "features")


def site(at: str, axes: tuple[str, ...], full: tuple[int, ...], shared: tuple[str, ...] = ()) -> Site:
    """A site whose whole array has those axes."""
    shape = tuple(1 if name in shared else size for name, size in zip(axes, full, strict=True))
    return Site(at, 0.5, "bernoulli", shared, "inverted", axes, shape, 0.0, full)
