"""Two programs on the page of their case: their operations side by side until they part, their draws, what was brought over."""

import pytest

from harness.records import PROGRAMS, Verdict
from harness.reporting import html
from harness.reporting.store import read
from tests.reporting import fakes
from tests.reporting.chromium import MARKS, violations

pytestmark = MARKS

CASE = "cases/pairs/block.yaml"
HOSTILE = '"><script>alert(1)</script>\u202e' + "long" * 60
PICTURE = {
    "first": "model",
    "second": HOSTILE,
    "said": [
        "✕ port differs from model in training (seed 0): survivors are not divided",
        "  part at   drop mul (6, 4)",
    ],
    "mode": "train",
    "seed": 0,
    "draws": [
        ["decision (6, 4) p=0.75 at drop, model.py:15", "decision (6, 4) p=0.75 at port.py:15", ""],
        ["decision (6, 1) p=0.5 at path, model.py:17", "", "only in the first"],
        ["", HOSTILE, HOSTILE],
    ],
    "operations": [
        ["agrees", "fc addmm (6, 4) model.py:15", "fc addmm (6, 4) port.py:15", "", ""],
        ["alone", "drop div_ (6, 4) model.py:15", "", "", ""],
        ["parts", "drop mul (6, 4) model.py:15", HOSTILE, "return self.drop(x)", HOSTILE],
        ["alone", "", "add (6, 4) port.py:16", "", ""],
    ],
    "weights": [["fc.weight", "dense.kernel, transposed"]],
    "left": [HOSTILE],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    label = fakes.LSTM[2]
    case = fakes.variant(CASE, [label], layer=PROGRAMS)
    one = fakes.compared(case, label, fakes.row(case, label, verdict=Verdict.FAIL), charts={"programs": PICTURE})
    return html.write(read(fakes.store(tmp_path_factory.mktemp("programs"), [case], [one])))


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark"), (3840, "light")])
def test_axe_finds_nothing_and_no_cell_is_clipped(visit, written, width, scheme):
    page = visit(written, f"#case={CASE}", width, scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = page.evaluate(
        "[...document.querySelectorAll('.programs td')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert clipped == 0


def test_both_columns_until_they_part(visit, written):
    page = visit(written, f"#case={CASE}")
    operations, draws = page.locator("table.programs").all()
    lines = [[cell.inner_text() for cell in line.locator("td").all()] for line in operations.locator("tbody tr").all()]
    assert [line[0].split("\n")[0] for line in lines][:3] == ["✓", "after the place, or in one program alone", "✕"]
    assert lines[0][1:] == ["fc addmm (6, 4) model.py:15", "fc addmm (6, 4) port.py:15"]
    assert lines[2][1].splitlines() == ["drop mul (6, 4) model.py:15", "return self.drop(x)"]
    assert operations.locator("tr.parts").count() == 1
    assert operations.locator("thead th").nth(1).inner_text() == "model"
    said = [line.locator("td").nth(2).inner_text() for line in draws.locator("tbody tr").all()]
    assert said[:2] == ["are one draw", "only in the first"]
    assert page.locator(".said").inner_text().startswith("✕ port differs from model")
    page.get_by_text("Weights brought over").click()
    assert page.get_by_text("dense.kernel, transposed").is_visible()


def test_a_case_of_a_known_layer_has_no_such_part(visit, tmp_path):
    page = visit(
        html.write(read(fakes.store(tmp_path, *fakes.small_run()))), "#case=cases/lstm/variational.yaml::[rate=0.5]"
    )
    assert page.locator("#programs").count() == 0
