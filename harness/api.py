"""The Python API: `harness.run` and `harness.assert_parity`, which mean what `harness run` on the command line means."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from harness import history as histories
from harness import session
from harness.errors import Problem, UserError
from harness.records import Row, Variant
from harness.reporting import html
from harness.reporting.exits import Exit
from harness.reporting.store import StoredRun
from harness.reporting.summary import summarise
from harness.reporting.terminal import print_summary
from harness.reporting.writer import Writer
from harness.running import Runner as Runner
from harness.selection.choosing import backend_filter, searchable, select_cases, unmatched
from harness.selection.expression import compile_expression

if TYPE_CHECKING:
    import pandas as pd

    from harness.pairs.compare import PairResult

#: What can be run: a case file, a folder of them, the id of one case, a stored run (its cases), a loaded variant, or a mapping.
Case: TypeAlias = str | Path | Variant | Mapping[str, Any]


#: Lines of a summary that the `repr` of a result shows.
LINES = 10


@dataclass(frozen=True, repr=False)
class Result:
    """How a run ended. Its `repr` is the summary in ten lines at most; a notebook shows a table of cases and implementations.

    rows       one for each (case, implementation, check), in the order of the cases.
    exit_code  what `harness run` would have exited with; 0 (`Exit.OK`) means no unexplained difference.
    summary    what `harness run` would have printed: every difference with its figures, cause and place.
    """

    rows: tuple[Row, ...]
    exit_code: Exit
    summary: str

    def __repr__(self) -> str:
        """The summary; of a long one its beginning, and the three lines that say how the run ended."""
        lines = self.summary.splitlines()
        if len(lines) > LINES:
            left = len(lines) - LINES + 1
            lines = [*lines[: LINES - 4], f"… {left} more lines: print(result.summary)", *lines[-3:]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from harness.reporting.notebook import matrix

        return matrix(self.rows, self.summary)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame (see `harness.reporting.frame`)."""
        from harness.reporting.frame import frame

        return frame(self.rows)


def run(
    cases: Case | Iterable[Case],
    *,
    backend: str | Sequence[str] = (),
    expression: str = "",
    out: str | Path | None = None,
    timeout: float | None = None,
    jobs: int | None = None,
    history: str | Path | None = None,
    folder: str | Path = ".",
    runner: Runner | None = None,
) -> Result:
    """Run cases and compare every implementation with the reference.

    cases       case files, folders of them, ids of single cases (`file.yaml::[rate=0.5]`), loaded variants, or mappings with
                the keys of a case file.
    backend     only these backends, implementations or patterns, as `--backend`.
    expression  only cases whose id, layer or tags match, as `-k`.
    out         folder to store the run and its page in, as `--out`; None: nothing is kept on disk.
    timeout     seconds for each call, instead of the cases' own.
    jobs        how many workers compute at the same time; default: one for each framework. Not with `runner`.
    history     database to add the stored run to, as `--history`; only with `out`.
    folder      where the files of cases given as mappings are seen from.
    runner      workers to use and to leave running: `with harness.Runner() as runner`.

    Nothing selected is no error here: its exit code is 5. Raises UserError for an invalid case, with all problems of all
    cases; KeyboardInterrupt ends the workers and stores nothing.
    """
    if runner is not None and jobs is not None:
        raise UserError("jobs: the runner that was given has its own")
    if history is not None and out is None:
        raise UserError("history: only a run with a folder of its own (out=...) can be remembered")
    chosen = select(cases, expression, folder)
    keep = backend_filter([backend] if isinstance(backend, str) else backend, chosen)
    variants = session.with_backends(chosen, keep, timeout)
    if not variants:
        return Result((), Exit.NOTHING, "Nothing was run: no case was selected.")
    database = histories.prepare(out, history) if out is not None else None
    with ExitStack() as stack:
        place = Path(out) if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        writer = stack.enter_context(Writer.of(place, variants, _program()))
        workers = runner or stack.enter_context(Runner(jobs=jobs))
        session.store(workers.run(variants, keep), session.comparisons(variants, keep), writer)
        writer.finish()
        stored = session.closed(place, database)
        if out is not None:
            html.write(stored)
        return Result(tuple(stored.rows()), stored.exit_code, text(stored))


def _program() -> list[str]:
    """The program that calls, as a command: its name and what it was given; of a notebook's kernel, its name alone."""
    name = Path(sys.argv[0]).name
    return [name] if "ipykernel" in sys.modules else [name, *sys.argv[1:]]


@overload
def assert_parity(cases: Case | Iterable[Case], /, **options: Any) -> Result: ...


@overload
def assert_parity(original: Any, port: Any, /, **options: Any) -> PairResult: ...


def assert_parity(cases: Any, port: Any = None, /, **options: Any) -> Result | PairResult:
    """Run cases, with the options of `run`, and raise AssertionError unless `harness run` would exit with 0.
    With a second program or model, `assert_parity(original, port, inputs=…)` compares the two (`harness.pair`).

    The message is the summary: every difference with its figures, its cause and its place in the case file. A run that
    compared nothing raises too, whether no case was selected, a backend is missing or no implementation can express the case.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    if port is not None:
        from harness.pairs.api import assert_pair

        return assert_pair(cases, port, **options)
    result = run(cases, **options)
    if result.exit_code is not Exit.OK:
        raise AssertionError(result.summary)
    return result


def select(cases: Case | Iterable[Case], expression: str = "", folder: str | Path = ".") -> list[Variant]:
    """The variants that are meant, in that order, each once. Raises UserError with every problem of every case."""
    from harness.cases.inline import from_mapping

    given = [cases] if isinstance(cases, str | Path | Variant | Mapping) else list(cases)
    matches = compile_expression(expression)
    problems: list[Problem] = []
    chosen: dict[str, Variant] = {}
    for number, case in enumerate(given, 1):
        try:
            if isinstance(case, Variant):
                found = [case]
            elif isinstance(case, Mapping):
                name = "inline" if len(given) == 1 else f"inline-{number}"
                found = from_mapping(case, name=name, folder=folder)
                problems += unmatched(found)
            else:
                found = select_cases([str(case)], thorough=True)
        except UserError as error:
            problems.extend(error.problems)
            continue
        chosen.update((variant.id, variant) for variant in found)
    if problems:
        raise UserError(dict.fromkeys(problems))
    return [variant for variant in chosen.values() if matches(searchable(variant))]


def text(stored: StoredRun) -> str:
    """The summary of a stored run as plain text."""
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(file=buffer, width=100_000, color_system=None, highlight=False, emoji=False, markup=False)
    print_summary(summarise(stored), console)
    return buffer.getvalue().rstrip("\n")
