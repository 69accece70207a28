"""`pytest --parity-report DIR`: what a session's case files compare as a stored run with its page, as of `harness run --out DIR`.

With xdist each process stores its part, and the first one joins them. Imported when the option is given.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.pytest_items import CaseItem
from harness.pytest_session import WRITER
from harness.reporting import html
from harness.reporting.merging import joined
from harness.reporting.store import StoredRun, read
from harness.reporting.summary import headline
from harness.reporting.writer import Writer

#: What a process of xdist tells the first one: the folder of its part.
_PART = "parity-report"


class Report:
    """The plugin that stores the comparisons. `problem` is why there is no report."""

    def __init__(self, config: pytest.Config) -> None:
        """Raises UsageError where the folder cannot be one."""
        self.config = config
        self.folder = Path(config.invocation_params.dir, config.getoption("--parity-report"))
        if self.folder.exists() and not self.folder.is_dir():
            raise pytest.UsageError(f"--parity-report {self.folder}: is no folder")
        self.open = ExitStack()
        self.parts: list[Path] = []
        self.planned = 0
        self.stored: StoredRun | None = None
        self.problem = ""

    @property
    def part(self) -> str:
        """The name of this process among those of xdist; "" of the only or the first one."""
        return str(getattr(self.config, "workerinput", {}).get("workerid", ""))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Open the run of all cases that were chosen. The first process of xdist runs none."""
        items = [item for item in session.items if isinstance(item, CaseItem)]
        if not items:
            return
        self.planned = len(items)
        folder = self.folder / f".{self.part}" if self.part else self.folder
        variants = {item.variant.id: item.variant for item in items}
        writer = Writer.of(folder, list(variants.values()), _command(self.config))
        self.config.stash[WRITER] = self.open.enter_context(writer)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the run; the first process of xdist joins the parts."""
        try:
            if WRITER in self.config.stash:
                self._finish(self.config.stash[WRITER])
            elif self.parts:
                self._join()
        except (OSError, HarnessError) as error:
            self.problem = str(error)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def _finish(self, writer: Writer) -> None:
        with self.open:
            folder = writer.finish(interrupted=not self.part and writer.comparisons < self.planned)
        if self.part:
            self.config.workeroutput[_PART] = {"folder": str(folder), "planned": self.planned}  # type: ignore[attr-defined]
        else:
            self._publish()

    def _join(self) -> None:
        runs = [read(part) for part in sorted(self.parts)]
        cases = {str(case["id"]): case for run in runs for case in run.cases}
        compared = sum(int(run.meta["comparisons"]) for run in runs)
        joined(runs, list(cases.values()), self.folder, _command(self.config), interrupted=compared < self.planned)
        for part in self.parts:
            shutil.rmtree(part, ignore_errors=True)
        self._publish()

    def _publish(self) -> None:
        self.stored = read(self.folder)
        html.write(self.stored)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A process of xdist has ended; one that died has no part, and what it compared is missing."""
        told = getattr(node, "workeroutput", {}).get(_PART)
        if told:
            self.parts.append(Path(told["folder"]))
            self.planned = max(self.planned, told["planned"])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the report is, or why there is none."""
        if self.stored is not None:
            terminalreporter.write_line(f"parity-harness: {headline(self.stored)}; {self.folder / 'report.html'}")
        else:
            why = self.problem or "no case file was run"
            terminalreporter.write_line(f"parity-harness: no report: {why}", red=bool(self.problem))


def _command(config: pytest.Config) -> list[str]:
    return ["pytest", *map(str, config.invocation_params.args)]
