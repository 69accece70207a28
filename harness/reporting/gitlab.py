"""GitLab: a code-quality report, one issue for each difference, at the line of the YAML.

Source: GitLab's documentation, "Code Quality", section "Code Quality report format".
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from harness.records import Row, Verdict
from harness.reporting.groups import position
from harness.reporting.store import StoredRun
from harness.reporting.summary import clean, figures, label, summarise
from harness.reporting.verdicts import INTERRUPTED, reason, words

SEVERITIES = {
    Verdict.CRASH: "blocker",
    Verdict.TIMEOUT: "critical",
    Verdict.ERROR: "critical",
    Verdict.UNEXPECTED_PASS: "minor",
    Verdict.ILL_CONDITIONED: "minor",
}


def code_quality(run: StoredRun) -> str:
    """The report as JSON text. An interrupted run has an issue of its own, at the first case, for each issue needs a file."""
    issues = [_issue(row) for row in summarise(run).differences]
    if run.meta["interrupted"]:
        first = next((str(case["id"]).partition("::")[0] for case in run.cases), "cases")
        issues.insert(0, _as_issue("run.interrupted", INTERRUPTED, "blocker", first, 1, "interrupted"))
    return json.dumps(issues, indent=1, ensure_ascii=False) + "\n"


def _issue(row: Row) -> dict[str, Any]:
    file, line, _ = position(row.place)
    identity = "\0".join((row.case, label(row), row.check, row.seed, row.verdict))
    text = f"{words(row.verdict)}: {label(row)}: {row.check} {figures(row)}".rstrip()
    return _as_issue(
        row.check,
        ": ".join(filter(None, (text, reason(row)))),
        SEVERITIES.get(row.verdict, "major"),
        file or row.case.partition("::")[0],
        line or 1,
        identity,
    )


def _as_issue(check: str, text: str, severity: str, path: str, line: int, identity: str) -> dict[str, Any]:
    return {
        "description": clean(text),
        "check_name": clean(check),
        "fingerprint": hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest(),
        "severity": severity,
        "location": {"path": clean(path), "lines": {"begin": line}},
    }
