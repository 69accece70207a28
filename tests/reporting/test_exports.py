"""JUnit XML, GitHub annotations, GitLab code quality and Markdown: golden files, and what a consumer reads in them."""

import json
import re
from xml.etree import ElementTree

import pytest

from harness.records import Verdict
from harness.reporting import github, gitlab, junit, markdown
from harness.reporting.groups import grouped, position
from harness.reporting.store import read
from harness.reporting.verdicts import INTERRUPTED
from tests.reporting import fakes
from tests.reporting.test_html import HOSTILE, _hostile
from tests.reporting.test_store import golden


@pytest.fixture
def run(tmp_path):
    return read(fakes.store(tmp_path / "run", *fakes.small_run()))


@pytest.fixture
def green(tmp_path):
    return read(fakes.store(tmp_path / "green", *fakes.green_run()))


def hostile(tmp_path, text):
    return read(fakes.store(tmp_path / "hostile", *_hostile(text)))


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("junit.xml", junit.junit),
        ("annotations.txt", github.workflow_commands),
        ("code-quality.json", gitlab.code_quality),
        ("summary.md", markdown.markdown),
    ],
)
def test_it_is_as_it_was(run, name, view):
    golden(name, re.sub(r'timestamp="[^"]*"', 'timestamp=""', view(run)))


def many(tmp_path, count):
    """Differences of `count` causes, alternately failures and warnings."""
    one = fakes.variant(backends=("numpy",))
    letters = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(count)]
    rows = [fakes.row(one, "numpy", f"value.{text}", Verdict.FAIL, cause=f"because {text}") for text in letters]
    rows += [fakes.row(one, "numpy", "value.y", Verdict.UNEXPECTED_PASS, cause="gone")]
    return read(fakes.store(tmp_path / "many", [one], [fakes.compared(one, "numpy", *rows)]))


@pytest.fixture
def interrupted(tmp_path):
    """A run that was stopped, of which all that was compared is well."""
    return read(fakes.store(tmp_path / "interrupted", *fakes.green_run(), interrupted=True))


def test_an_interrupted_run_is_green_nowhere(interrupted, green):
    root = ElementTree.fromstring(junit.junit(interrupted))
    assert root.attrib["errors"] == "1"
    (error,) = root.iter("error")
    assert error.attrib["message"] == INTERRUPTED
    assert workflow(interrupted) == [f"::error title=Interrupted::{INTERRUPTED}"]
    (issue,) = json.loads(gitlab.code_quality(interrupted))
    assert (issue["severity"], issue["description"]) == ("blocker", INTERRUPTED)
    assert issue["location"]["path"].endswith(".yaml")
    assert ElementTree.fromstring(junit.junit(green)).attrib["errors"] == "0"
    assert workflow(green) == json.loads(gitlab.code_quality(green)) == []


def workflow(run):
    return github.workflow_commands(run).splitlines()


# JUnit


def test_junit_counts(run):
    root = ElementTree.fromstring(junit.junit(run))
    tests = list(root.iter("testcase"))
    assert len(tests) == 7
    for element in (root, *root.iter("testsuite")):
        inner = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(inner)
        for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(element.get(name)) == len(list(element.iter(kind)))
    kinds = {test.get("name"): [child.tag for child in test] for test in tests}
    assert kinds["[rate=0.5] numpy"] == []
    assert kinds[f"[rate=0.5] {fakes.LSTM[2]}"] == ["failure"]
    assert kinds[f"[rate=0.5] {fakes.LSTM[3]}"] == ["error"]
    assert kinds["torch"] == ["error"]
    assert kinds["numpy"] == ["skipped"]


def test_a_known_difference_alone_is_skipped_with_its_reason(tmp_path):
    one = fakes.variant(backends=("numpy",))
    row = fakes.row(one, "numpy", "mask.shared", Verdict.KNOWN, cause="draws at every step")
    text = junit.junit(read(fakes.store(tmp_path, [one], [fakes.compared(one, "numpy", row)])))
    (skipped,) = ElementTree.fromstring(text).iter("skipped")
    assert "draws at every step" in skipped.get("message")


def test_junitparser_reads_it(run, tmp_path):
    junitparser = pytest.importorskip("junitparser")
    path = tmp_path / "junit.xml"
    path.write_text(junit.junit(run), encoding="utf-8")
    parsed = junitparser.JUnitXml.fromfile(str(path))
    assert (parsed.tests, parsed.failures, parsed.errors, parsed.skipped) == (7, 3, 2, 1)
    texts = [result.text or "" for suite in parsed for case in suite for result in case.result]
    (told,) = (text for text in texts if "gates read in the order i, f, o, g" in text)
    assert (
        told.count("gates read") == 1 and "fix: split the weights" in told and "cases/lstm/variational.yaml:4:5" in told
    )
    messages = [result.message for suite in parsed for case in suite for result in case.result]
    assert "fail: gates read in the order i, f, o, g" in messages


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_of_hostile_text_is_xml(tmp_path, text):
    root = ElementTree.fromstring(junit.junit(hostile(tmp_path, text)).encode())
    assert [element.tag for element in root.iter()] == ["testsuites", "testsuite", "testcase", "failure"]


# GitHub


def test_no_annotation_without_a_difference(green):
    assert github.workflow_commands(green) == ""


def test_annotations_are_at_most_ten_of_a_kind_and_say_what_is_left(tmp_path):
    lines = github.workflow_commands(many(tmp_path, 30)).splitlines()
    errors = [line for line in lines if line.startswith("::error ")]
    assert len(errors) == 10
    assert errors[-1] == "::error title=More differences::21 more causes in 1 case%3A see the report".replace(
        "%3A", ":"
    )
    assert len([line for line in lines if line.startswith("::warning ")]) == 1


def test_ten_causes_are_ten_annotations(tmp_path):
    text = github.workflow_commands(many(tmp_path, 10))
    assert "more cause" not in text
    assert text.count("::error ") == 10


def test_a_long_annotation_is_cut(tmp_path):
    one = fakes.variant(backends=("numpy",))
    row = fakes.row(one, "numpy", "value.y", Verdict.FAIL, cause="why, " * 5000, name="n" * 500)
    line = github.workflow_commands(read(fakes.store(tmp_path, [one], [fakes.compared(one, "numpy", row)])))
    head, _, text = line.removeprefix("::").rstrip("\n").partition("::")
    title = head.partition("title=")[2].replace("%3A", ":")
    assert len(title) == github.LONGEST_TITLE
    assert len(text) == github.LONGEST_TEXT
    assert title.endswith(" …")
    assert text.endswith(" …")


@pytest.mark.parametrize("text", [*HOSTILE, "a\n::error::planted", "a%0A::set-output", "a,line=9::b"])
def test_annotations_of_hostile_text_are_one_command(tmp_path, text):
    lines = github.workflow_commands(hostile(tmp_path, text)).split("\n")
    assert len(lines) == 2
    head, _, _ = lines[0].removeprefix("::").partition("::")
    assert len(re.findall(r"(?:^|,)(?:file|line|col|title)=", head.removeprefix("error "))) <= 4
    assert "line=9" not in head.replace("%2Cline=9", "")


# GitLab


def test_gitlab_format(run):
    issues = json.loads(gitlab.code_quality(run))
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == 8
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert isinstance(issue["location"]["path"], str)
        assert issue["location"]["lines"]["begin"] >= 1


def test_gitlab_fingerprints_stay_when_figures_change(tmp_path):
    one = fakes.variant(backends=("numpy",))

    def fingerprint(measured):
        row = fakes.row(one, "numpy", verdict=Verdict.FAIL, measured=measured)
        folder = fakes.store(tmp_path / str(measured), [one], [fakes.compared(one, "numpy", row)])
        return json.loads(gitlab.code_quality(read(folder)))[0]["fingerprint"]

    assert fingerprint(1.0) == fingerprint(2.0)


# Markdown


def test_markdown_of_a_green_run(green):
    text = markdown.markdown(green)
    assert text.startswith("### ✅ No unexplained difference.")
    assert "What differs" not in text


def test_markdown_is_cut_below_its_limit(tmp_path):
    run = many(tmp_path, 300)
    whole = markdown.markdown(run)
    assert "Cut here" not in whole
    short = markdown.markdown(run, limit=2000)
    assert len(short.encode()) <= 2000
    assert short.endswith("*Cut here: the rest is in report.html.*\n")


@pytest.mark.parametrize("text", [*HOSTILE, "a|b", "[x](http://example.com)", "`code`", "@everyone #1", "a\n# heading"])
def test_markdown_of_hostile_text_is_text(tmp_path, text):
    clean = markdown.markdown(hostile(tmp_path, "plain"))
    rendered = markdown.markdown(hostile(tmp_path, text))
    assert rendered.count("\n") == clean.count("\n")
    pipes = re.compile(r"(?<!\\)\|")
    assert len(pipes.findall(rendered)) == len(pipes.findall(clean))
    assert not re.search(r"<(?!/?(details|summary)>)", rendered)
    assert not re.search(r"(?<!\\)[\[@`]", rendered)


# Groups


def test_groups_leave_figures_out_of_the_cause():
    one, two = fakes.variant("a.yaml"), fakes.variant("b.yaml")
    rows = [
        fakes.row(one, "numpy", "value.y", Verdict.FAIL, cause="3 of 8 differ"),
        fakes.row(two, "numpy", "value.h", Verdict.FAIL, cause="5 of 8 differ"),
        fakes.row(two, "torch", "value.h", Verdict.FAIL, cause="5 of 8 differ"),
        fakes.row(two, "numpy", "value.h", Verdict.CRASH, cause="signal"),
    ]
    found = grouped(rows)
    assert [(group.implementation, group.first.verdict, list(group.cases), list(group.checks)) for group in found] == [
        ("numpy", "fail", ["a.yaml", "b.yaml"], ["value.y", "value.h"]),
        ("torch", "fail", ["b.yaml"], ["value.h"]),
        ("numpy", "crash", ["b.yaml"], ["value.h"]),
    ]


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        ("", ("", 0, 0)),
        ("a.yaml", ("a.yaml", 0, 0)),
        ("a.yaml:3", ("a.yaml", 3, 0)),
        ("a.yaml:3:5", ("a.yaml", 3, 5)),
        ("c:/a b.yaml:3:5", ("c:/a b.yaml", 3, 5)),
    ],
)
def test_position(place, parts):
    assert position(place) == parts
