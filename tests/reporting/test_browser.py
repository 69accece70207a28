"""The page in a real browser, checked by axe."""

import math

import numpy as np
import pytest

from harness.power import Power
from harness.records import Site, Verdict
from harness.reporting import html, powers
from harness.reporting.store import read
from tests.reporting import fakes
from tests.reporting.chromium import MARKS, violations

pytestmark = MARKS

CASE = "cases/lstm/variational.yaml::[rate=0.5]"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return html.write(read(fakes.store(tmp_path_factory.mktemp("small"), *fakes.small_run())))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """2 500 cases, 20 000 rows."""
    labels = ["numpy", fakes.LSTM[2]]
    variants = [fakes.variant(f"cases/many/{n:04}.yaml", labels) for n in range(2500)]
    events = (
        fakes.compared(
            one,
            label,
            *(
                fakes.row(one, label, check, Verdict.FAIL if index == 2000 else Verdict.PASS)
                for check in ("value.y", "value.h", "value.c", "mask.rate")
            ),
        )
        for index, one in enumerate(variants)
        for label in labels
    )
    return html.write(read(fakes.store(tmp_path_factory.mktemp("large"), variants, events)))


@pytest.mark.parametrize(
    "hash_", ["", f"#case={CASE}", f"#case={CASE}&check=value.y&impl={fakes.LSTM[2]}&of=gradient.x", "#profiles=1"]
)
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark"), (3840, "light")])
def test_axe_finds_nothing_and_the_page_does_not_scroll_sideways(visit, small, width, hash_, scheme):
    page = visit(small, hash_, width, scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_policy_holds_without_a_bypass(visit, small):
    page = visit(small)
    assert page.locator(".matrix tbody tr").count() == 2


def test_what_a_page_may_not_do_would_be_seen(browser, small):
    """The policy stops a request, and the console says so: the check in `visit` can fail."""
    context = browser.new_context()
    page = context.new_page()
    logged = []
    page.on("console", lambda message: logged.append(message.text))
    page.goto(f"file://{small}")
    page.evaluate("new Image().src = 'https://example.com/x.png'; 0")
    page.wait_for_timeout(200)
    assert any("Content Security Policy" in text for text in logged)
    context.close()


def test_cells_have_colour_sign_and_text(visit, small):
    page = visit(small)
    cell = page.locator(f"a.cell[aria-label^='{fakes.LSTM[2]}']").first
    assert cell.inner_text().split() == ["✕", "fail", "2"]
    assert cell.evaluate("(e) => getComputedStyle(e).backgroundColor") == "rgb(179, 38, 30)"
    assert "fail, 2 of 2 checks" in cell.get_attribute("aria-label")


def test_worst_first(visit, small):
    page = visit(small, "#sort=")
    names = page.locator(".matrix tbody th a").all_inner_texts()
    assert names == ["variational", "plain"]


def test_search_and_filter_are_in_the_url(visit, small):
    page = visit(small)
    page.keyboard.press("/")
    page.keyboard.type("plain")
    page.wait_for_function("() => location.hash.includes('q=plain')")
    page.wait_for_function("() => document.querySelectorAll('.matrix tbody th a').length === 1")
    assert page.locator(".matrix tbody th a").all_inner_texts() == ["plain"]
    assert page.locator(".status").inner_text() == "1 case of 2 shown"
    page.locator("#search").fill("")
    page.wait_for_function("() => !location.hash.includes('q=')")
    page.locator("#counts button[data-verdict=crash]").click()
    page.wait_for_function("() => location.hash.includes('show=crash')")
    page.wait_for_function("() => document.querySelectorAll('.matrix tbody th a').length === 1")
    assert page.locator(".matrix tbody th a").all_inner_texts() == ["variational"]
    assert page.locator("#counts button[data-verdict=crash]").get_attribute("aria-pressed") == "true"


def test_a_view_can_be_linked_to(visit, small):
    page = visit(small, "#q=plain&show=timeout")
    assert page.locator("#search").input_value() == "plain"
    assert page.locator(".matrix tbody th a").all_inner_texts() == ["plain"]
    page = visit(small, "#case=cases/none.yaml")
    assert "no case cases/none.yaml" in page.locator(".status").inner_text()


def test_by_keyboard_alone(visit, small):
    page = visit(small)
    page.locator(".matrix tbody th a").first.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(fakes.LSTM[2])
    page.keyboard.press("Enter")
    page.wait_for_selector("#title")
    assert page.evaluate("document.activeElement.id") == "title"
    assert "variational" in page.title()
    page.keyboard.press("Escape")
    page.wait_for_selector(".matrix")
    page.wait_for_timeout(100)
    assert page.evaluate("document.activeElement.dataset.case") == CASE
    page.go_back()
    page.wait_for_selector("#title")


def test_a_case_says_everything(visit, small):
    page = visit(small, f"#case={CASE}")
    text = page.locator("main").inner_text()
    for words in (
        "One input mask for the whole sequence.",
        "gates read in the order i, f, o, g",
        "Fix: split the weights as i, f, g, o",
        "worst at (0, 3, 2)",
        "draws at every step",
        "Fatal Python error: Segmentation fault",
        "harness run 'cases/lstm/variational.yaml::[rate=0.5]'",
        "matrix: {rate: [0.25, 0.5]}",
        "bernoulli, rate 0.5, one mask shared over time",
    ):
        assert words in text or words in page.locator("main").text_content()
    assert page.locator(".line.marked").count() == 1
    page.locator("button.cell[aria-label^='value.y of torch: torch.nn.LSTM']").click()
    page.wait_for_selector("#panel")
    assert "check=value.y" in page.url
    assert "4.5e-6" in page.locator("#panel").inner_text()


def cards(page, heading):
    return page.locator(f"section[aria-labelledby={heading}] .card")


def test_errors_over_time_are_drawn_where_they_are(visit, small):
    page = visit(small, f"#case={CASE}")
    worst = cards(page, "numbers").first
    assert fakes.LSTM[2] in worst.inner_text()
    assert "fail" in worst.locator(".badge").inner_text()
    over, bars = worst.locator("svg").all()
    assert over.get_attribute("aria-label") == (
        "Largest error at each of 5 time steps: 0.0312 at step 3, limit 4.5e-6, logarithmic scale"
    )
    # All steps but the one without an error are over the limit, and have a cross as well as a colour.
    assert over.locator("path.over").count() == 4
    assert over.locator("circle.own").count() == 1
    assert "exactly equal: 20; 1 ULP: 6; up to 2 ULPs: 3; up to 4 ULPs: 1" in bars.get_attribute("aria-label")
    heights = [float(bar.get_attribute("height")) for bar in bars.locator("rect.bar").all()]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] / heights[1] == pytest.approx(20 / 6)
    assert [card.locator("line.limit").count() for card in cards(page, "numbers").all()[1:]] == [1, 0]


def test_the_worst_elements_are_listed(visit, small):
    page = visit(small, f"#case={CASE}")
    worst = cards(page, "numbers").first
    worst.locator("summary", has_text="Worst elements").click()
    assert worst.locator("tbody tr").first.inner_text().split() == ["[0,", "3,", "2]", "0", "0.53125", "0.5", "0.0312"]


def test_another_result_is_chosen_in_the_url(visit, small):
    page = visit(small, f"#case={CASE}")
    assert page.locator(".pickable[aria-current]").inner_text().split() == ["✕value.y", "(fail)"]
    page.locator(".pickable[data-of='gradient.x']").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.includes('of=gradient.x')")
    # The page is drawn by the event that follows the change of the address.
    page.wait_for_selector(".pickable[data-of='gradient.x'][aria-current]")
    assert page.locator(".pickable[aria-current]").get_attribute("data-of") == "gradient.x"
    assert page.evaluate("document.activeElement.dataset.of") == "gradient.x"
    assert "all" in cards(page, "numbers").first.locator("svg").last.text_content()
    # Implementations with the same figures are one card.
    assert cards(page, "numbers").nth(1).locator("li").all_inner_texts() == ["numpy", fakes.LSTM[0]]


def test_noise_scale_and_states_are_drawn(visit, small):
    page = visit(small, f"#case={CASE}")
    noise = cards(page, "noise").first.locator("svg")
    assert "mean 1.01, standard deviation 0.23; 354 elements" in noise.get_attribute("aria-label")
    assert noise.locator("rect.bar").count() == 14
    assert noise.locator("path.theory").count() == 1
    rules = page.locator(".rules tbody tr")
    assert rules.nth(0).inner_text().split("\t") == ["x / d(keep)", "✓ every bit"]
    assert rules.nth(1).inner_text().split("\t") == ["x * d(1 / keep)", "1 ULP"]
    states, handover = cards(page, "states").all()[0], cards(page, "states").all()[-1]
    assert "The last of 5 steps and h: the same bits. The last step and c: they differ by 0.37." in states.inner_text()
    assert "The decoder starts from (h, c)" in handover.locator("svg").get_attribute("aria-label")


def test_a_part_of_a_case_can_be_linked_to(visit, small):
    page = visit(small, f"#case={CASE}&at=states")
    assert page.evaluate("document.activeElement.id") == "states"
    assert abs(page.locator("#states").bounding_box()["y"]) < 900
    page.locator(".contents a", has_text="Masks").click()
    page.wait_for_function("() => document.activeElement.id === 'masks'")


def test_masks_of_gates_are_told_apart_and_laid_over_a_single_one(visit, tmp_path):
    site = Site("state.h", 0.5, axes=("gates", "batch", "time", "features"), shape=(4, 3, 2, 6))
    one = fakes.variant("cases/gates.yaml", ("numpy", fakes.LSTM[2]), sites=(site,))
    each = np.random.default_rng(0).random((4, 3, 2, 6)) > 0.5
    events = [
        fakes.compared(one, "numpy", fakes.row(one, "numpy"), masks={"state.h": each}),
        fakes.compared(one, fakes.LSTM[2], fakes.row(one, fakes.LSTM[2]), masks={"state.h": each[:1]}),
    ]
    page = visit(html.write(read(fakes.store(tmp_path, [one], events))), "#case=cases/gates.yaml")
    first, second = page.locator(".mask").all()
    assert first.locator(".gates").inner_text().split() == ["i", "f", "g", "o"]
    # Two sequences of each gate are shown, and the one mask of all gates differs from the last three alone.
    differing = (each[:, :2] != each[:1, :2]).mean()
    assert f"shape 1×3×2×6; numpy has 4×3×2×6. {differing * 100:.1f} % of" in second.inner_text()
    rows = second.locator("canvas").last.evaluate(
        """(canvas) => {
          const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => (y * width + x) * 4)
            .filter((i) => data[i + 3] && data[i] - data[i + 2] > 100).length);
        }"""
    )
    assert sum(rows) == (each[:, :2] != each[:1, :2]).sum()
    assert rows[:2] == [0, 0]


def test_what_a_case_could_not_notice(visit, tmp_path):
    variants, events = fakes.small_run()
    folder = fakes.store(tmp_path, variants, events)
    faults = (
        Power("bias.doubled", "bias added twice", 0.5, "value.y"),
        Power("gates.order", "gates read in another order", 900.0, "value.y"),
        Power("gradient.lost", "gradient of h lost", math.inf, "gradient.x"),
    )
    digest = powers.text_digest(fakes.SOURCE)
    powers.write(folder, [powers.CasePower(variants[0].id, digest, "k", faults)])
    page = visit(html.write(read(folder)), f"#case={CASE}&at=power", bypass_csp=True)
    shown = page.locator("section[aria-labelledby=power]")
    assert "1 of 3 faults would stay within the limits. 1 would show in gradients alone." in shown.inner_text()
    assert shown.locator("tbody tr").first.inner_text().split("\t") == [
        "bias added twice",
        "0.5 × the limit",
        "value.y",
    ]
    assert "more than any limit" in shown.text_content()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.wait_for_selector(".matrix")
    summary = page.locator("summary", has_text="1 of 3 faults go unnoticed by every case")
    summary.click()
    assert "bias added twice" in summary.locator("..").inner_text()


def test_printing_is_light_and_shows_no_controls(visit, small):
    page = visit(small, f"#case={CASE}", scheme="dark")
    page.emulate_media(media="print")
    assert page.locator(".picker").is_hidden()
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()") == "#1c1d21"
    assert cards(page, "numbers").first.locator("svg").first.is_visible()


def test_what_cannot_express_a_case_is_listed_and_has_no_column(visit, small):
    page = visit(small, "#case=cases/dropout/plain.yaml")
    assert page.locator(".checks thead th").count() == 2
    page.locator(".idle summary").click()
    assert page.locator(".idle dt").inner_text() == "numpy"
    assert page.locator(".idle dd").inner_text() == "has no dropout at 'state.c'"
    page = visit(small, "#case=cases/dropout/plain.yaml&impl=numpy&check=mask.axes")
    assert page.locator(".checks thead th").count() == 3
    assert "has no dropout at 'state.c'" in page.locator("#panel").inner_text()


def test_measured_profiles_show_what_differs_first(visit, small):
    page = visit(small, f"#case={CASE}")
    differing = page.locator(".entry.differs")
    assert differing.count() == 1
    assert differing.inner_text().split("\n")[0] == "input: shared over"
    assert "scale of survivors" in page.locator(".entry:not(.differs)").text_content()


def test_two_profiles_are_compared_by_keyboard(visit, small):
    page = visit(small)
    page.get_by_role("link", name="Measured profiles").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#between")
    assert page.evaluate("document.activeElement.id") == "title"
    cells = page.locator(".between tbody tr").all()
    assert len(cells) == 1
    assert cells[0].locator("th, td").all_inner_texts()[0] == "input: shared over"
    assert sorted(cells[0].locator("td").all_inner_texts()[:2]) == ["nothing", "time"]
    assert "1 entry differs, in 1 case compared." in page.locator(".found").inner_text()
    # The same implementation twice differs in nothing, and the chosen field keeps the focus.
    page.locator("#second").focus()
    page.locator("#second").select_option(page.locator("#first").input_value())
    page.wait_for_function("() => !document.querySelector('.between')")
    assert page.evaluate("document.activeElement.id") == "second"
    assert "the same in 1 case" in page.locator(".found").inner_text()
    page.locator("details.kind summary").first.click()
    assert page.locator(".profiles tbody tr").count() == 2
    page.locator("#title").focus()
    page.keyboard.press("Escape")
    page.wait_for_selector(".matrix")


def test_profiles_can_be_linked_to(visit, small):
    page = visit(small, f"#profiles=1&a=numpy&b={fakes.LSTM[0]}&ac={CASE}&bc={CASE}")
    assert page.locator("#first").input_value() == "numpy"
    assert page.locator("#first-case").input_value() == CASE
    assert page.locator(".between tbody td").first.inner_text() == "time"
    page.locator(".between a").click()
    page.wait_for_selector("#profile")


def test_masks_are_drawn_as_they_are(visit, small):
    page = visit(small, f"#case={CASE}")
    assert page.locator(".mask canvas").count() == 3
    kept = page.locator(".mask canvas").first.evaluate(
        """(canvas) => {
          const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let dark = 0, all = 0;
          for (let i = 0; i < data.length; i += 4) if (data[i + 3]) { all += 1; dark += data[i] < 128; }
          return [dark, all, width, height];
        }"""
    )
    mask = fakes.mask(0)
    assert kept[:2] == [int(mask.sum()), mask.size]
    differing = (fakes.mask(0) != fakes.mask(1)).mean()
    assert f"{differing * 100:.1f} % of elements differ from the first" in page.locator(".mask").nth(1).inner_text()


def test_twenty_thousand_rows_stay_quick(visit, large):
    page = visit(large)
    rows = page.locator(".matrix tbody tr")
    assert rows.count() < 120
    assert page.locator(".matrix").get_attribute("aria-rowcount") == "2502"
    assert rows.locator("th a").first.inner_text() == "2000"
    page.locator(".matrix-box").evaluate("(box) => { box.scrollTop = box.scrollHeight; }")
    page.wait_for_function("() => [...document.querySelectorAll('.matrix th a')].some((a) => a.textContent === '2499')")
    assert rows.count() < 120
    took = page.evaluate(
        """() => new Promise((done) => {
          const start = performance.now();
          location.hash = "q=many/1234";
          addEventListener("hashchange", () => requestAnimationFrame(() => done(performance.now() - start)), { once: true });
        })"""
    )
    assert page.locator(".matrix tbody th a").all_inner_texts() == ["1234"]
    # Machines differ, so the measure is what this is not to be: drawing a table of all the cells.
    drawing = page.evaluate(
        """() => {
          const start = performance.now();
          const table = document.createElement("table");
          table.innerHTML = ("<tr>" + "<td><a href='#x'>pass</a></td>".repeat(8) + "</tr>").repeat(2502);
          document.body.append(table);
          table.getBoundingClientRect();
          return performance.now() - start;
        }"""
    )
    assert took < drawing


def test_printing_shows_every_row(visit, large):
    page = visit(large)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".matrix tbody th").count() == 2500


@pytest.mark.parametrize(
    "text",
    [
        "</script><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "\u202egnp.exe",
        "a&b=c#d%20",
        "x' onmouseover='alert(1)",
    ],
)
def test_hostile_text_in_a_browser(visit, tmp_path, text):
    from tests.reporting.test_html import _hostile

    path = html.write(read(fakes.store(tmp_path, *_hostile(text))))
    page = visit(path)
    page.locator(".matrix tbody th a").click()
    page.wait_for_selector("#title")
    page.locator("button.cell").first.click()
    page.wait_for_selector("#panel")
    assert page.locator("img").count() == 0


def test_without_script_the_differences_are_readable(browser, small):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{small}")
    assert "gates read in the order i, f, o, g" in page.locator("noscript").inner_text()
    context.close()
