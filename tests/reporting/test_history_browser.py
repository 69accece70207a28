"""The history's page in a real browser, checked by axe."""

import pytest
from test_history_page import series

from harness.history import page as history_page
from tests.reporting.chromium import MARKS, violations

pytestmark = MARKS

HOSTILE = '"><script>alert(1)</script>\u202e' + "long" * 60


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    upgraded = series(1e-7, 2e-7) + series(
        3e-5, version="torch 2.14.0", verdict="fail", cause="gates read as i, f, o, g"
    )
    odd = series(1e-7, 0.0, float("nan"), check=HOSTILE, case=HOSTILE, implementation=HOSTILE, version=HOSTILE)
    path = tmp_path_factory.mktemp("history") / "history.html"
    path.write_text(history_page.page([upgraded, odd, series(1e-7)]), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_axe_finds_nothing_nothing_is_fetched_and_nothing_is_logged(browser, written, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page, seen = context.new_page(), []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: seen.append(dialog.message))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else seen.append(request.url))
    page.goto(f"file://{written}")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("section").first.locator(".badge").inner_text() == "✕ fail"
    assert page.locator("section").first.locator(".versions li").all_inner_texts() == ["torch 2.13.0", "torch 2.14.0"]
    context.close()
    assert seen == []


def test_the_policy_and_the_style_fit(browser, written):
    context = browser.new_context(color_scheme="dark")
    page, seen = context.new_page(), []
    page.on("console", lambda message: seen.append(message.text))
    page.goto(f"file://{written}")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 17, 19)"
    assert seen == []
    context.close()
