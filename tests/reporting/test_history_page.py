"""The page of a history: the figures are where they belong, and a hostile name is only text."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest

from harness.history import Figure
from harness.history import page as history_page


def series(*measured: float | None, check: str = "value.y", **changes: object) -> list[Figure]:
    fields = {"case": "cases/a.yaml", "implementation": "torch", "check": check, "device": "cpu", "limit": 1e-5}
    fields |= {"unit": "absolute", "cause": "", "verdict": "pass", "version": "torch 2.13.0"} | changes
    return [
        Figure(**fields | {"run": run, "started": f"2026-11-{run:02}", "measured": one})  # type: ignore[arg-type]
        for run, one in enumerate(measured, 1)
    ]


class Reader(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **having: str) -> list[dict[str, str | None]]:
        return [a for name, a in self.elements if name == tag and having.items() <= a.items()]


def test_a_larger_figure_stands_higher_and_the_limit_is_drawn() -> None:
    drawn = history_page.draw(series(1e-7, 1e-6, 1e-4, 0.0, None, math.inf, math.nan))
    heights = [y for _, y, *_ in drawn.points]
    assert heights[0] > heights[1] > heights[2]
    assert heights[3] == heights[4] == history_page.HEIGHT - history_page.BOTTOM
    assert heights[5] == heights[6] == history_page.TOP
    limit = float(drawn.limit.split()[0].split(",")[1])
    assert heights[1] > limit > heights[2]
    assert heights[3] > history_page.draw(series(1e-9)).points[0][1], "zero lies below every figure"
    across = [x for x, *_ in drawn.points]
    assert across == sorted(set(across))
    assert max(across) <= history_page.WIDTH


def test_the_whole_range_of_float64_fits() -> None:
    heights = [y for _, y, *_ in history_page.draw(series(5e-324, 1.7e308)).points]
    assert history_page.TOP <= heights[1] < heights[0] < history_page.HEIGHT - history_page.BOTTOM


def test_versions_are_marked_where_they_change() -> None:
    figures = series(1e-7, 1e-7) + series(1e-7, version="torch 2.14.0")
    assert [text for _, text in history_page.draw(figures).changes] == ["torch 2.13.0", "torch 2.14.0"]


def test_what_changed_its_verdict_comes_first_then_what_moved_most() -> None:
    calm, moved = series(1e-7, 1e-7, check="calm"), series(1e-9, 1e-6, check="moved")
    fell = series(1e-7, check="fell") + series(1e-7, check="fell", verdict="fail")
    page = history_page.page([calm, moved, fell])
    assert re.findall(r"torch · (\w+)", page) == ["fell", "moved", "calm"]


def test_the_head_says_how_many_changed() -> None:
    back = series(1e-7, check="a") + series(1e-7, check="a", verdict="fail") + series(1e-7, check="a")
    text = " ".join(
        Reader(history_page.page([back, series(1e-7, check="b", verdict="fail"), series(1e-7)])).text.split()
    )
    assert "3 figures over 1 run" in text
    assert "1 differs now, 1 changed its verdict" in text


def test_a_difference_is_a_cross_and_the_powers_of_ten_stand_in_order() -> None:
    page = Reader(history_page.page([series(1e-7, verdict="fail"), series(1e-7)]))
    assert len(page.all("path", **{"class": "bad"})) == 2, "one in the legend"
    assert history_page._powers(-9, -5) == [-5, -7, -9]
    assert history_page._powers(-300, 300) == [300, 100, -100, -300]
    assert history_page._powers(-1, 0) == [0, -1]


def test_the_table_has_every_figure() -> None:
    page = Reader(history_page.page([series(1.5e-7, math.nan, None)]))
    assert len(page.all("tr")) == 4
    assert len(page.all("circle", **{"class": "good"})) == 1 + 3, "one in the legend"
    for word in ("1.5e-07", "nan", "2026-11-03", "✓ pass"):
        assert word in page.text
    assert [one["aria-label"] for one in page.all("svg", role="img")] == [
        "torch, value.y over 3 runs: now ✓ pass, no figure"
    ]


@pytest.mark.parametrize("text", ['"><script>alert(1)</script>', "</style><img src=x onerror=a()>", "{{ 7 * 7 }}"])
def test_hostile_names_are_text(text: str) -> None:
    page = Reader(
        history_page.page([series(1e-7, case=text, implementation=text, check=text, version=text, cause=text)])
    )
    assert not page.all("script") and not page.all("img")
    assert text in page.text
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert (policy["content"] or "").startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_a_page_has_an_end() -> None:
    page = history_page.page(series(1e-7, check=f"c{n}") for n in range(history_page.MOST + 5))
    assert page.count("<section") == history_page.MOST
    assert f"{history_page.MOST} of {history_page.MOST + 5} figures" in page


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    import base64
    import hashlib

    page = history_page.page([series(1e-7)])
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (allowed,) = re.findall(r"style-src &#39;sha256-(\S+?)&#39;|style-src 'sha256-(\S+?)'", page)
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in allowed
