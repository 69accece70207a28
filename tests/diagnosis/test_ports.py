"""Ports as users write them: every faulty one is caught and its cause named, and the right ones raise no alarm."""

from __future__ import annotations

import importlib.util

import pytest
from port_runs import FRAMEWORKS, Port, failures, named_right, outcomes, ports

SHARE = 0.95


def installed(kind: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in {kind, FRAMEWORKS[kind]})


# Of the other frameworks the ports say the same of the search; that they are judged at all is asked of every framework in
# tests/frameworks/test_target*.py, tests/test_own_code_docs.py and tests/test_public_reports.py.
KINDS = [pytest.param(kind, marks=[pytest.mark.exhaustive] * (kind != "numpy")) for kind in FRAMEWORKS]


@pytest.mark.parametrize("kind", KINDS)
def test_ports(kind: str) -> None:
    if not installed(kind):
        pytest.skip(f"{kind} is not installed")
    found = outcomes(ports(kind))
    alarms = {port.id: failures(one) for port, one in found.items() if port.right and failures(one)}
    missed = [port.id for port, one in found.items() if not port.right and not failures(one)]
    wrong = {
        port.id: (sorted(map(sorted, port.planted)), failures(one))
        for port, one in found.items()
        if not port.right and not named_right(port, one)
    }
    faulty = [port for port in found if not port.right]
    assert alarms == {}
    assert missed == []
    assert len(wrong) <= (1 - SHARE) * len(faulty), wrong


def test_there_are_enough_ports() -> None:
    every: list[Port] = list(ports())
    assert sum(not port.right for port in every) >= 60
    assert sum(port.right for port in every) >= 30
    assert {port.framework for port in every} == {"numpy", "torch", "jax", "tensorflow"}
    assert sum(any(len(faults) == 2 for faults in port.planted) for port in every) >= 8
