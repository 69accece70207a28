from __future__ import annotations

import pytest

from harness.comparison import kernel_engine


@pytest.fixture(autouse=True)
def _nothing_compared_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which engine `auto` takes depends on how much the process has compared; not on the tests that ran before."""
    monkeypatch.setattr(kernel_engine, "_spent", 0)
