"""JUnit XML of a stored run: a suite for each case file, a test for each (case, implementation).

Differences are failures; crashes, timeouts and errors are errors; known differences and what an implementation cannot express are
skipped, with their reason, as pytest writes expected failures. An interrupted run has one more test, which says so as an error.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from harness.records import Row, Verdict
from harness.reporting.groups import grouped, position
from harness.reporting.store import StoredRun
from harness.reporting.summary import figures, label
from harness.reporting.verdicts import DIFFERENCES, INTERRUPTED, severity, words

#: Verdicts that say that nothing could be compared.
BROKEN = frozenset({Verdict.CRASH, Verdict.TIMEOUT, Verdict.ERROR})
# What XML 1.0 cannot hold, section 2.2.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: StoredRun) -> str:
    """The XML as text."""
    root = ElementTree.Element("testsuites", name="parity-harness")
    totals = [0, 0, 0, 0]
    seconds = 0.0
    started = str(run.meta.get("started", ""))[:19]
    for path, tests in itertools.groupby(_tests(run), key=lambda rows: rows[0].case.partition("::")[0]):
        suite = ElementTree.SubElement(root, "testsuite", name=legal(path), timestamp=started)
        counts = [0, 0, 0, 0]
        time = 0.0
        for rows in tests:
            kind = _add(suite, path, rows)
            counts[0] += 1
            time += rows[0].comparison_seconds
            if kind:
                counts[("failure", "error", "skipped").index(kind) + 1] += 1
        _set(suite, counts, time)
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
        seconds += time
    if run.meta["interrupted"]:
        suite = ElementTree.SubElement(root, "testsuite", name="parity-harness", timestamp=started)
        test = ElementTree.SubElement(suite, "testcase", classname="parity-harness", name="every case", time="0.000")
        ElementTree.SubElement(test, "error", type="interrupted", message=INTERRUPTED)
        _set(suite, [1, 0, 1, 0], 0.0)
        totals = [a + b for a, b in zip(totals, [1, 0, 1, 0], strict=True)]
    _set(root, totals, seconds)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _tests(run: StoredRun) -> Iterator[list[Row]]:
    """The rows of each (case, implementation), which stand together in a stored run."""
    for _, rows in itertools.groupby(run.rows(), key=lambda row: (row.case, label(row))):
        yield list(rows)


def _add(suite: ElementTree.Element, path: str, rows: list[Row]) -> str:
    """Add one test; returns what it is: failure, error, skipped, or "" for a pass."""
    first = min(rows, key=lambda row: severity(row.verdict))
    variant = first.case.partition("::")[2]
    file, line, _ = position(first.place)
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=legal(path.removesuffix(".yaml").replace("/", ".")),
        name=legal(" ".join(filter(None, (variant, label(first))))),
        time=f"{first.comparison_seconds:.3f}",
        file=legal(file or path),
        line=str(line or 1),
    )
    if first.verdict is Verdict.PASS:
        return ""
    kind = "skipped"
    if first.verdict in DIFFERENCES:
        kind = "error" if first.verdict in BROKEN else "failure"
    groups = grouped(row for row in rows if row.verdict in DIFFERENCES)
    told = groups[0].first if groups else first
    element = ElementTree.SubElement(test, kind, type=str(first.verdict), message=legal(_message(told)))
    if groups:
        blocks = ("\n    ".join([f"{words(one.first.verdict)}: {one.headline}", *one.details()]) for one in groups)
        element.text = legal("\n".join(blocks))
    return kind


def _message(row: Row) -> str:
    """The cause where one was found; else the check with its figures and what it saw."""
    if row.diagnosis:
        return f"{words(row.verdict)}: {row.diagnosis}"
    seed = f" (seed {row.seed})" if row.seed else ""
    told = ": ".join(filter(None, (f"{words(row.verdict)}: {row.check}{seed}", figures(row))))
    return "; ".join(filter(None, (told, row.cause)))


def _set(element: ElementTree.Element, counts: list[int], seconds: float) -> None:
    for name, count in zip(("tests", "failures", "errors", "skipped"), counts, strict=True):
        element.set(name, str(count))
    element.set("time", f"{seconds:.3f}")


def legal(text: str) -> str:
    """Text without what XML cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)
