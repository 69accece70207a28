"""What pytest makes of a case file: one item for each (variant, implementation). Imported when the first case file turns up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprFileLocation, ReprTracebackNative

from harness.errors import UserError
from harness.execution.plan import expand
from harness.pytest_session import PROPERTY, shared_runner, store
from harness.records import BackendRef, Compared, Row, Variant, Verdict
from harness.reporting.groups import Group, grouped
from harness.reporting.summary import clean, figures, plural
from harness.reporting.verdicts import COMPARED, DIFFERENCES, SIGNS, told, words, worst
from harness.selection.choosing import backend_filter, loaded, reproduce, unmatched

#: Marks that mean something to pytest itself; a tag of that name only goes with `-k`.
_PYTESTS_OWN = frozenset(
    {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "timeout", "tryfirst"}
)

_marks = pytest.StashKey[set[str]]()


class Differs(Exception):
    """A comparison that a person must look at."""

    def __init__(self, event: Compared) -> None:
        super().__init__(event)
        self.event = event


class CaseFile(pytest.File):
    """A case file. What is wrong with it is told with file, line and column, all at once."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each (variant, implementation), in the order of the file."""
        try:
            # A name may be that of a backend in another file, so none is refused here.
            keep = backend_filter(self.config.getoption("--harness-backend"), None)
            variants = loaded(self.path)
            problems = unmatched(variants)
            if problems:
                raise UserError(problems)
        except UserError as error:
            raise self.CollectError(str(error)) from None
        taken: set[str] = set()
        for variant in variants:
            for ref in expand(variant, keep):
                name = _unique(item_name(variant, ref), taken)
                # Given as a text, which pytest takes apart as it does what it has stored: `--sw` finds the item again.
                yield CaseItem.from_parent(self, name=name, nodeid=f"{self.nodeid}::{name}", variant=variant, ref=ref)


def item_name(variant: Variant, ref: BackendRef) -> str:
    """`torch:torch.nn.LSTM[rate=0.5-dtype=float32]`: no blanks, and one pair of square brackets, as pytest has it.

    So `cases/x.yaml::torch:torch.nn.LSTM` on the command line means all variants of an implementation.
    """
    label = re.sub(r"\s+", "-", ref.label.replace(": ", ":").replace(", ", ","))
    label = label.replace("::", ":").replace("[", "(").replace("]", ")")
    return label + variant.id.partition("::")[2]


def _unique(name: str, taken: set[str]) -> str:
    number = 2
    found = name
    while found in taken:
        found = f"{name}#{number}"
        number += 1
    taken.add(found)
    return found


class CaseItem(pytest.Item):
    """One implementation of one variant, compared with the reference."""

    def __init__(self, *, variant: Variant, ref: BackendRef, **rest: Any) -> None:
        super().__init__(**rest)
        self.variant = variant
        self.ref = ref
        kind = "pairs of programs" if variant.programs else "cases of this layer kind"
        marks = {"parity": "", variant.layer: kind, ref.backend: "cases of this backend"}
        for tag in variant.tags:
            marks.setdefault(tag, "cases with this tag")
        for name, meaning in marks.items():
            self.extra_keyword_matches.add(name)
            if name.isidentifier() and not name.startswith("_") and name not in _PYTESTS_OWN:
                _make_known(self.config, name, meaning)
                self.add_marker(name)

    def runtest(self) -> None:
        """Compare. Raises Differs; skips where the implementation cannot express the case."""
        # The file's variants are kept by the items; the workers' arrays are made for the variant at hand alone.
        (event,) = shared_runner(self.config).run([self.variant], lambda ref: ref.label == self.ref.label)
        store(self.config, event)
        outcome = worst(row.verdict for row in event.rows) or Verdict.ERROR
        if outcome is Verdict.UNSUPPORTED and any(row.verdict in COMPARED for row in event.rows):
            outcome = worst(row.verdict for row in event.rows if row.verdict in COMPARED) or outcome
        self.user_properties.append((PROPERTY, str(outcome)))
        if outcome in DIFFERENCES:
            raise Differs(event)
        if outcome is Verdict.UNSUPPORTED:
            causes = dict.fromkeys(row.cause or row.check for row in event.rows)
            raise pytest.skip.Exception(f"unsupported: {'; '.join(causes)}", _use_item_location=True)
        for verdict in (Verdict.KNOWN, Verdict.UNSUPPORTED):
            rows = [row for row in event.rows if row.verdict is verdict]
            for row in rows:
                self.user_properties.append((str(verdict), f"{row.check}: {row.cause}"))
            if rows:
                self.add_report_section("call", f"parity: {verdict}", "\n".join(lines(rows)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The differences instead of a traceback."""
        if isinstance(excinfo.value, Differs):
            return self._told(explained(excinfo.value.event))
        if isinstance(excinfo.value, UserError):
            return self._told(str(excinfo.value))
        return super().repr_failure(excinfo)

    def _told(self, text: str) -> ExceptionChainRepr:
        """A text as pytest has a traceback, with a place and a message: of a bare text, pytest 8.0 shows nothing in its short
        summary, and newer ones show all of it where CI is set.
        """
        file, line, _ = self.location
        crash = ReprFileLocation(file, (line or 0) + 1, text.partition("\n")[0])
        return ExceptionChainRepr([(ReprTracebackNative([f"{text}\n"]), crash, None)])

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The line of the case file that names the implementation."""
        place = self.ref.place or self.variant.place
        return self.path, max(place.line - 1, 0) if place else 0, f"{self.path.name}: {self.name}"


def _make_known(config: pytest.Config, name: str, meaning: str) -> None:
    """Let `--strict-markers` know a mark that a case brings."""
    if _marks not in config.stash:
        config.stash[_marks] = {re.split(r"[:(]", line)[0].strip() for line in config.getini("markers")}
    if name not in config.stash[_marks]:
        config.stash[_marks].add(name)
        config.addinivalue_line("markers", f"{name}: {meaning}")


def explained(event: Compared) -> str:
    """Why a comparison failed: each cause once, with fix, checks and the worst figure; where it stands; how to run it again.

    The first line is the one of pytest's short summary: the first cause.
    """
    rows = [row for row in event.rows if row.verdict in DIFFERENCES]
    groups = grouped(rows)
    place = str(event.backend.place or event.variant.place or event.variant.path)
    text = [_short(groups), f"{place}: {clean(event.backend.label)} in {event.variant.id}"]
    for group in groups:
        text.append(f"  {SIGNS[group.first.verdict]} {words(group.first.verdict)}  {clean(group.headline)}")
        text += (f"      {clean(detail)}" for detail in group.details() if detail != place)
    text.append(f"{len(rows)} of {len(event.rows)} checks")
    if event.detail:
        whose = "the harness" if any(row.internal for row in rows) else "the worker"
        text += ["", f"last words of {whose}:", *(f"  {clean(line)}" for line in event.detail.splitlines()[-20:])]
    text.append(f"again: {reproduce(event.variant.id, event.backend.label)}")
    return "\n".join(text)


def _short(groups: list[Group]) -> str:
    if not groups:
        return "error: no check gave an answer"
    first, more = groups[0], len(groups) - 1
    named = first.checked if first.first.diagnosis or not first.cause else f"{first.checked}: {first.cause}"
    said = f"{words(first.first.verdict)}: {clean(first.first.diagnosis or named)}"
    return f"{said} (and {plural(more, 'more cause')})" if more else said


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Rows as text."""
    for row in rows:
        seed = f" (seed {row.seed})" if row.seed else ""
        yield f"  {SIGNS[row.verdict]} {words(row.verdict)}  {row.check}{seed}"
        for detail in (figures(row), told(row.cause), row.note, row.place):
            if detail:
                yield f"      {clean(detail)}"
