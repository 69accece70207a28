"""Every registered implementation against every question of the contract (`contract.py`), on its framework's table."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.frameworks.contract.adapter import implementations
from tests.frameworks.contract import refusal, surprises
from tests.frameworks.trial import WORKERS, Trial, folder, table

TABLES = sorted(path.stem for path in (Path(__file__).parent / "tables").glob("[a-z]*.py"))


def cases() -> Iterator[Any]:
    """(framework, kind, implementation, case, backend) of all tables."""
    for framework in TABLES:
        module = table(framework)
        for (layer, name), own in module.CASES.items():
            for word, each in own.items():
                for backend in [each.only] if each.only else module.BACKENDS:
                    late = each.exhaustive or backend != module.BACKENDS[0]
                    yield pytest.param(
                        framework, layer, name, word, backend,
                        marks=[pytest.mark.exhaustive] * late,
                        id=": ".join([framework, layer, name, word] + [backend] * (len(module.BACKENDS) > 1)),
                    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    yield
    WORKERS.stop()


@pytest.mark.parametrize(("framework", "layer", "name", "word", "backend"), list(cases()))
def test_contract(framework: str, layer: str, name: str, word: str, backend: str) -> None:
    found = implementations()[backend, layer, name]
    away = table(framework).CASES[layer, name][word].environment
    for need in found.needs if not away else ():
        if importlib.util.find_spec(need.partition("<")[0].partition(">")[0]) is None:
            pytest.skip(f"{need} is not installed")
    trial = Trial(framework, layer, name, word, backend=backend)
    if trial.case.refused:
        assert re.search(trial.case.refused, refusal(trial))
    else:
        assert surprises(trial) == {}


@pytest.mark.parametrize("framework", TABLES)
def test_every_implementation_has_a_case(framework: str) -> None:
    registered = {key[1:] for key, found in implementations().items() if folder(found) == framework}
    assert set(table(framework).CASES) == registered
