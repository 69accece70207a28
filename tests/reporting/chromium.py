"""Pages in a real browser: Debian's Chromium (or another on PATH) driven by Playwright, checked by axe.

A module that imports this is left out where they are missing; `browser` and `visit` are fixtures of this folder.
"""

import shutil
from importlib import resources

import pytest

playwright = pytest.importorskip("playwright.sync_api")
AXE = pytest.importorskip("axe_playwright_python")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: The marks of every module of these tests.
MARKS = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


def violations(page):
    page.evaluate(resources.files(AXE).joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found]
