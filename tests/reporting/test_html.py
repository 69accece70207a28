import base64
import dataclasses
import json
import math
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from harness.power import Power
from harness.records import Site, Verdict
from harness.reporting import drawing, html, powers
from harness.reporting.model import figure, pack, visible
from harness.reporting.store import read
from harness.reporting.verdicts import ORDER
from tests.reporting import fakes


class Page(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def data(self):
        return unpacked(self.texts["script"][0])


def unpacked(text):
    """What `html.embedded` was given, as the page's script unpacks it."""
    return json.loads(zlib.decompress(base64.b64decode(text), wbits=-15))


@pytest.fixture
def page(tmp_path):
    return Page(html.render(read(fakes.store(tmp_path, *fakes.small_run()))))


def test_the_verdict_is_in_the_markup_before_any_script(page):
    text = " ".join(page.texts["h1"])
    assert "The backends differ." in text
    counted = " ".join("".join(page.texts[tag]) for tag in ("b", "button"))
    for verdict in ORDER:
        assert str(verdict).replace("_", " ") in counted


def test_the_differences_are_in_the_markup_for_those_without_script(page):
    rows = "".join(page.texts["td"] + page.texts["th"] + page.texts["div"])
    for words in (
        "gates read in the order i, f, o, g",
        "cases/lstm/variational.yaml::[rate=0.5]",
        "fix: split the weights as i, f, g, o",
        "2 checks in cases/lstm",
        "nan > 4.5e-06 abs at (1, 0, 0)",
    ):
        assert words in rows


def test_nothing_is_fetched(tmp_path):
    text = html.render(read(fakes.store(tmp_path, *fakes.small_run())))
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "object", "embed", "base", "img", "audio", "video", "form")
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = [a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-")
    assert "unsafe" not in policy


def test_the_policy_fits_the_script_and_style(page):
    (policy,) = [a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    script = "".join(page.texts["script"]).split("}", 1)
    assert script
    for tag in ("script", "style"):
        text = page.texts[tag][-1]
        assert html._source(text) in policy


def test_the_data_comes_back(page):
    data = page.data()
    assert [verdict[0] for verdict in data["verdicts"]] == [str(verdict) for verdict in ORDER]
    first, _ = data["cases"]
    assert first["id"] == "cases/lstm/variational.yaml::[rate=0.5]"
    assert data["sources"][first["source"]] == fakes.SOURCE
    names = [data["implementations"][number]["name"] for number, *_ in first["cells"]]
    assert names == ["numpy", *fakes.LSTM]
    _, seconds, place, failing = first["cells"][names.index(fakes.LSTM[2])]
    assert seconds == 0.25
    kind, measured, limit, where = failing[0]
    assert (measured, limit, data["texts"][where]) == (0.03125, 4.5e-06, "(0, 3, 2)")
    check, verdict, seed, unit, cause, diagnosis, _, fix = data["kinds"][kind]
    assert data["checks"][check] == "value.y"
    assert data["verdicts"][verdict][0] == "fail"
    assert [data["texts"][n] for n in (seed, unit, cause, diagnosis, fix, place)] == [
        "0",
        "abs",
        "5 of 30 elements differ",
        "gates read in the order i, f, o, g",
        "split the weights as i, f, g, o",
        "cases/lstm/variational.yaml:4:5",
    ]
    assert failing[1][1] == "nan"
    assert data["texts"][failing[1][5]] == ""
    assert [data["implementations"][n]["backend"] for n in data["order"]] == [
        "numpy",
        "tensorflow",
        "tensorflow",
        "torch",
        "torch",
        "jax",
    ]


def test_profiles_come_back(page):
    data = page.data()
    profiles = {
        name: {data["texts"][k]: data["texts"][v] for k, v in data["profiles"][index]}
        for name, index in data["cases"][0]["profiles"]
    }
    assert profiles == {
        "numpy": {"scale of survivors": "2", "input: shared over": "time"},
        fakes.LSTM[0]: {"scale of survivors": "2", "input: shared over": "nothing"},
    }


def test_profiles_that_are_the_same_stand_once(tmp_path):
    events = fakes.small_run()
    same = [dataclasses.replace(event, profile={"gate order": "i, f, g, o"}) for event in events[1]]
    data = pack(read(fakes.store(tmp_path, events[0], same)))
    assert len(data["profiles"]) == 1
    assert {index for case in data["cases"] for _, index in case["profiles"]} == {0}


def test_charts_come_back_with_few_digits(page):
    charts = dict(page.data()["cases"][0]["charts"])
    assert list(charts) == ["numpy", fakes.LSTM[0], fakes.LSTM[2]]
    results = {check: rest for check, *rest in charts[fakes.LSTM[2]]["results"]}
    ulps, worst, steps, per, of = results["value.y"]
    assert (ulps, steps, per, of) == ([20, 6, 3, 1], [0.00391, 0.00781, 0, 0.0312, 0.0156], 1, 5)
    assert worst[0] == ["0, 3, 2", "0", 0.53125, 0.5, 0.0312]
    assert charts["numpy"]["noise"]["theory"] == [1, 0.2294]
    assert charts["numpy"]["scale"]["rules"] == {"x / d(keep)": 0, "x * d(1 / keep)": 1}
    assert charts["numpy"]["states"] == {"steps": 5, "h": 0, "c": 0.37}


def test_elements_are_listed_of_what_differs_and_of_outputs():
    worst = [[str(n), "0", 1.0, 2.0, 1.0] for n in range(5)]
    chart = {"results": {"value.y": {"ulps": [1], "worst": worst}, "gradient.x": {"ulps": [1], "worst": worst}}}
    assert [len(one[2]) for one in drawing.drawn(chart, set())["results"]] == [drawing.FEW, 0]
    assert [len(one[2]) for one in drawing.drawn(chart, {"gradient.x"})["results"]] == [drawing.FEW, 5]


def test_figures_that_are_no_numbers_stay_words():
    assert drawing.shortened(["inf", "nan", 0.123456, 7, 1234567.0]) == ["inf", "nan", 0.123, 7, 1230000.0]
    assert drawing.shortened({"ratio": [1.66666653], "mean": 0.123456}) == {"ratio": [1.66666653], "mean": 0.1235}


def test_powers_are_those_of_the_run_and_keep_their_side(tmp_path):
    variants, events = fakes.small_run()
    folder = fakes.store(tmp_path, variants, events)
    faults = (
        Power("a", "one", 2.0004, "value.y"),
        Power("b", "two", 1.9996, "value.y"),
        Power("c", "three", math.inf, "x"),
    )
    powers.write(folder, [powers.CasePower(variants[0].id, powers.text_digest(fakes.SOURCE), "k", faults)])
    data = pack(read(folder))
    named = [(data["faults"][fault][0], ratio, data["powerRows"][by]) for fault, ratio, by in data["cases"][0]["power"]]
    assert [name for name, *_ in named] == ["a", "b", "c"]
    assert named[0][1] > data["meta"]["noticed"] >= named[1][1]
    assert named[2][1:] == (None, "x")
    assert "power" not in data["cases"][1]


def test_gates_are_panels_wherever_they_stand(tmp_path):
    mask = np.random.default_rng(0).random((6, 4, 5)) > 0.5
    site = Site("weight.recurrent", 0.5, axes=("inputs", "gates", "units"), shape=mask.shape)
    one = fakes.variant(backends=("numpy",), sites=(site,))
    event = fakes.compared(one, "numpy", fakes.row(one, "numpy"), masks={"weight.recurrent": mask})
    (picture,) = pack(read(fakes.store(tmp_path, [one], [event])))["pictures"]
    assert (picture["n"], picture["of"], picture["h"], picture["w"]) == (4, 4, 6, 5)


def test_the_data_is_deflated_and_comes_back():
    value = {"text": "</script>" * 500, "figures": [1.5, None, True], "é": "\u2028"}
    text = html.embedded(value)
    assert unpacked(text) == value
    assert len(text) < 300
    assert re.fullmatch("[A-Za-z0-9+/=]+", text)


def test_masks_that_are_the_same_stand_once(page):
    data = page.data()
    masks = data["cases"][0]["masks"]
    assert [mask[1] for mask in masks] == ["numpy", fakes.LSTM[0], fakes.LSTM[2]]
    assert masks[1][2] == masks[2][2] != masks[0][2]
    assert len(data["pictures"]) == 2
    assert masks[0][3] == "2×5×3"
    assert masks[0][4] == pytest.approx(fakes.mask(0).mean(), rel=1e-3)


HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "]]>",
    "&lt;b&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "${alert(1)}`",
    "\u202egnp.exe",
    "\u2066\u2069\u200f",
    "nul\x00\x1b[31m",
    "\u2028\u2029",
    "javascript:alert(1)",
    "lone\udc80",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(tmp_path, text):
    clean = Page(html.render(read(fakes.store(tmp_path / "clean", *_hostile("plain")))))
    rendered = html.render(read(fakes.store(tmp_path / "hostile", *_hostile(text))))
    page = Page(rendered)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in clean.elements]
    assert page.data()["cases"][0]["about"] == visible(text)
    assert visible(text) in "".join(page.texts["td"])
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200f\x00\x1b]", rendered)
    rendered.encode()


def _hostile(text):
    sites = (Site(text, 0.5, axes=(text,), shape=(3,)),)
    one = fakes.variant(
        f"cases/{text}.yaml",
        ("numpy",),
        about=text,
        layer=text,
        source=text,
        tags=(text,),
        sites=sites,
        variant={text: text},
    )
    row = fakes.row(
        one,
        "numpy",
        text,
        Verdict.FAIL,
        cause=text,
        where=text,
        unit=text,
        place=text,
        note=text,
        name=text,
        version=text,
        environment=text,
    )
    charts = fakes.charts(noise=True)
    charts["results"] = {text: charts["results"]["value.y"] | {"worst": [[text, text, 1.0, 2.0, 1.0]]}}
    charts["scale"]["rules"] = {text: 0}
    charts["handover"]["starts"] = {text: 0.0, "(h, c)": 0.5}
    event = fakes.compared(
        one, "numpy", row, masks={text: fakes.mask()}, detail=text, profile={text: text}, charts=charts
    )
    return [one], [event]


def test_a_script_that_would_end_its_element_is_refused():
    with pytest.raises(ValueError, match="end of a script"):
        html._trusted("x = '</script>'", "script")


def test_a_green_run_says_so(tmp_path):
    page = Page(html.render(read(fakes.store(tmp_path, *fakes.green_run()))))
    assert "No unexplained difference." in "".join(page.texts["h1"])


def test_rendering_twice_gives_the_same_page(tmp_path):
    run = read(fakes.store(tmp_path, *fakes.small_run()))
    assert html.render(run) == html.render(run)


def test_write_puts_it_beside_the_run(tmp_path):
    run = read(fakes.store(tmp_path, *fakes.small_run()))
    assert html.write(run) == tmp_path / "report.html"
    assert html.write(run, tmp_path / "other.html").read_text() == (tmp_path / "report.html").read_text()


def test_a_few_hundred_cases_stay_small(tmp_path):
    labels = [f"torch: torch.nn.Thing{n}" for n in range(10)]
    variants = [fakes.variant(f"cases/many/{n}.yaml", labels, source=fakes.SOURCE * 4) for n in range(300)]
    random = np.random.default_rng(0)
    events = (
        fakes.compared(
            one,
            label,
            *(fakes.row(one, label, f"check.{n}", measured=float(random.random())) for n in range(6)),
            masks={"input": random.random((5, 7, 16)) > 0.5},
        )
        for one in variants
        for label in labels
    )
    size = html.write(read(fakes.store(tmp_path, variants, events))).stat().st_size
    assert size < 2_000_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1.0, 1),
        (0.123456, 0.1235),
        (4.5e-06, 4.5e-06),
        (1e300, 1e300),
    ],
)
def test_figures(value, shown):
    assert figure(value) == shown


def test_visible_keeps_ordinary_text():
    assert visible("élan 中文 ✓ a b") == "élan 中文 ✓ a b"
    assert visible("a\r\nb\tc", lines=True) == "a\nb\tc"
    assert visible("a\nb") == "a⟨U+000A⟩b"


def test_an_empty_run_has_a_page(tmp_path):
    data = pack(read(fakes.store(tmp_path, [fakes.variant()], [], interrupted=True)))
    assert data["cases"][0]["cells"] == []


# Colours: text against its ground, both schemes.


def _palettes():
    text = html._text("static", "colours.css")
    light, dark = text.split("@media screen and (prefers-color-scheme: dark)")
    pairs = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]
    return {"light": pairs[0], "dark": pairs[0] | pairs[1]}


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """The contrast ratio of WCAG 2.2, 1.4.3."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_formula():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_every_text_is_enough(scheme):
    colours = _palettes()[scheme]
    pairs = [(text, ground) for text in ("ink", "soft", "link") for ground in ("paper", "ground", "faint")]
    pairs += [(str(verdict), f"{verdict}-bg") for verdict in ORDER]
    pairs += [(text, ground) for text in ("pass", "unsupported") for ground in ("paper", "faint")]
    pairs += [("ink", "unexpected_pass-bg"), ("link", "unexpected_pass-bg"), ("soft", "unexpected_pass-bg")]
    poor = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert not {pair: value for pair, value in poor.items() if value < 4.5}
