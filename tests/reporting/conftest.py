"""Fixtures of the tests in a real browser."""

import pytest


@pytest.fixture(scope="module")
def browser():
    from tests.reporting.chromium import CHROMIUM, playwright

    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open a page; afterwards nothing may have been fetched, logged or thrown."""
    contexts, seen = [], []

    def open_page(path, hash_="", width=1280, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.append(("console", message.text)))
        page.on("pageerror", lambda error: seen.append(("error", str(error))))
        page.on("dialog", lambda dialog: seen.append(("dialog", dialog.message)))
        page.on(
            "request",
            lambda request: (
                seen.append(("request", request.url)) if not request.url.startswith(("file:", "data:")) else None
            ),
        )
        page.goto(f"file://{path}{hash_}")
        page.wait_for_selector("#main > *")
        page.wait_for_timeout(100)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []
