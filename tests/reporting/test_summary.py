import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from harness.records import Verdict
from harness.reporting.exits import Exit
from harness.reporting.store import read
from harness.reporting.summary import clean, figures, summarise, summary_json, verdict_line
from harness.reporting.terminal import print_summary
from harness.reporting.verdicts import DIFFERENCES, exit_code, told
from tests.reporting import fakes
from tests.reporting.test_store import golden


@pytest.fixture
def run(tmp_path):
    return read(fakes.store(tmp_path / "run", *fakes.small_run()))


def printed(run, width=100, terminal=False, **options):
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        highlight=False,
        emoji=False,
        markup=False,
        force_terminal=terminal,
        no_color=not terminal,
    )
    print_summary(summarise(run), console, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("summary.txt", {}),
        ("summary-quiet.txt", {"verbosity": -1}),
        ("summary-verbose.txt", {"verbosity": 1}),
        ("summary-narrow.txt", {"width": 44}),
    ],
)
def test_text_is_as_it_was(run, name, options):
    golden(name, printed(run, report="reports/latest/report.html", **options))


def test_json_is_as_it_was(run):
    value = summary_json(summarise(run))
    value["folder"] = "run"
    value["harness"] = ""
    value["seconds"] = 12.5
    golden("summary.json", json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def test_every_difference_is_named(run):
    text = printed(run)
    for row in run.rows():
        if row.verdict in DIFFERENCES:
            assert row.check in text
            assert row.name in text
            assert (row.diagnosis or row.cause) in text
            assert row.place in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_it_fits_the_terminal(run, width):
    assert max(map(len, printed(run, width).splitlines())) <= width


def test_colour_only_on_a_terminal(run):
    assert "\x1b[" not in printed(run)
    assert "\x1b[" in printed(run, terminal=True)


def test_text_cannot_steer_the_terminal():
    assert clean("a\x1b[31mb\nc\u202ed") == "a\ufffd[31mb c\ufffdd"


@pytest.mark.parametrize(
    ("measured", "limit", "unit", "where", "text"),
    [
        (2.0, 1.0, "ulp", "(0,)", "2 > 1 ulp at (0,)"),
        (1.0, 1.0, "", "", "1 ≤ 1"),
        (float("nan"), 1.0, "", "", "nan > 1"),
        (0.5, None, "share", "", "0.5 share"),
        (None, 3.0, "s", "", "limit 3 s"),
        (None, None, "s", "", ""),
    ],
)
def test_figures(measured, limit, unit, where, text):
    row = fakes.row(fakes.variant(), "numpy", measured=measured, limit=limit, unit=unit, where=where)
    assert figures(row) == text


@pytest.mark.parametrize(
    ("tally", "code"),
    [
        ({}, Exit.NOTHING),
        ({(Verdict.PASS, False): 3}, Exit.OK),
        ({(Verdict.PASS, False): 3, (Verdict.KNOWN, False): 1, (Verdict.UNSUPPORTED, False): 1}, Exit.OK),
        *[
            ({(Verdict.PASS, False): 3, (verdict, False): 1}, Exit.DIFFERENCE)
            for verdict in set(Verdict) - {Verdict.PASS, Verdict.KNOWN, Verdict.UNSUPPORTED}
        ],
        ({(Verdict.PASS, False): 3, (Verdict.ERROR, True): 1}, Exit.BACKEND),
        ({(Verdict.PASS, False): 3, (Verdict.ERROR, True): 1, (Verdict.FAIL, False): 1}, Exit.DIFFERENCE),
        ({(Verdict.UNSUPPORTED, False): 2}, Exit.BACKEND),
    ],
)
def test_exit_codes(tally, code):
    assert exit_code(tally) is code
    assert exit_code(tally, interrupted=True) is Exit.INTERRUPTED


def test_what_was_seen_is_told_apart_from_its_cause() -> None:
    assert told("") == ""
    assert told("exit code -11") == "cause: exit code -11"
    assert (
        told("3 of 9 elements differ; cause: h and c swapped")
        == "differs: 3 of 9 elements differ; cause: h and c swapped"
    )
    assert told("cause: h and c swapped") == "cause: h and c swapped"


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        ({Verdict.ERROR: 2, Verdict.PASS: 3}, "Something could not be compared."),
        ({Verdict.CRASH: 1, Verdict.TIMEOUT: 1}, "Something could not be compared."),
        ({Verdict.ERROR: 2, Verdict.FAIL: 1}, "The backends differ."),
        ({Verdict.NONDETERMINISTIC: 1}, "No check failed, but something is not the same twice."),
        ({Verdict.UNEXPECTED_PASS: 1, Verdict.PASS: 9}, "No check failed, but a known difference is no longer there."),
        (
            {Verdict.ILL_CONDITIONED: 4},
            "No check failed, but some say nothing: rounding alone could explain any difference there.",
        ),
        ({Verdict.ILL_CONDITIONED: 4, Verdict.FAIL: 1}, "The backends differ."),
    ],
)
def test_errors_alone_are_no_difference_of_the_backends(verdicts, line):
    """What was never compared says nothing of the backends; the exit code is that of a difference all the same."""
    assert verdict_line(SimpleNamespace(exit_code=Exit.DIFFERENCE, counts=verdicts)) == line
