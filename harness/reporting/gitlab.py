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
from harness.reporting.verdicts import words

SEVERITIES = {
    Verdict.CRASH: "blocker",
    Verdict.TIMEOUT: "critical",
    Verdict.ERROR: "critical",
    Verdict.UNEXPECTED_PASS: "minor",
    Verdict.ILL_CONDITIONED: "minor",
}


def code_quality(run: StoredRun) -> str:
    """The report as JSON text."""
    return json.dumps([_issue(row) for row in summarise(run).differences], indent=1, ensure_ascii=False) + "\n"


def _issue(row: Row) -> dict[str, Any]:
    file, line, _ = position(row.place)
    identity = "\0".join((row.case, label(row), row.check, row.seed, row.verdict))
    text = f"{words(row.verdict)}: {label(row)}: {row.check} {figures(row)}".rstrip()
    return {
        "description": clean(f"{text}: {row.cause}" if row.cause else text),
        "check_name": clean(row.check),
        "fingerprint": hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest(),
        "severity": SEVERITIES.get(row.verdict, "major"),
        "location": {"path": clean(file or row.case.partition("::")[0]), "lines": {"begin": line or 1}},
    }
