"""What all tests share: helpers of one folder may be used by another's tests; what CI requires is not left out in silence."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

HELPERS = ("comparison",)
sys.path[:0] = [str(Path(__file__).parent / name) for name in HELPERS]

from tests import workers  # noqa: E402
from tests.requiring import absent, named, required  # noqa: E402

REQUIRED = required()

# A shell's background job ignores Ctrl-C, and so would all processes that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Stop at once where something that HARNESS_REQUIRE names is missing."""
    missing = absent(REQUIRED)
    if missing:
        raise pytest.UsageError(f"HARNESS_REQUIRE names what is not here: {', '.join(missing)}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: what several processes have left at the end is then short."""
    weight = Counter(item.path for item in items)
    weight.update(item.path for item in items for _ in range(10) if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -weight[item.path])


def pytest_sessionfinish() -> None:
    """The workers that tests share end with them."""
    workers.stop()


def _insist(report: Any) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        word = named(reason, REQUIRED)
        if word:
            report.outcome = "failed"
            report.longrepr = f"left out, although HARNESS_REQUIRE names {word}: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A test that leaves itself out for want of something required has failed."""
    report = yield
    _insist(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """And so has a whole file."""
    report = yield
    _insist(report)
    return report
