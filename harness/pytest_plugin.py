"""The pytest plugin: `pytest cases/` collects case files, and the fixture `parity` runs cases in tests of one's own.

It is loaded into every pytest that runs where the harness is installed, so it imports nothing but pytest until a case file or
the fixture turns up. See docs/pytest.md.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_session import PROPERTY, shared_runner

if TYPE_CHECKING:
    from harness.api import Result

_SUFFIXES = (".yaml", ".yml")
#: What every case has at the left margin; other people's YAML in a folder called `cases` has not all of it.
_KEYS = tuple(re.compile(rb"""^["']?%b["']?[ \t]*:""" % key, re.MULTILINE) for key in (b"about", b"layer", b"backends"))
_LARGEST = 1 << 20
#: What the command line exits with where nothing could be compared.
_NOTHING_COMPARED = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option `harness_cases`, `--harness-backend` and `--parity-report`."""
    parser.addini(
        "harness_cases",
        "patterns of case files, seen from the root directory, instead of every case in a folder named `cases`",
        type="args",
        default=[],
    )
    group = parser.getgroup("parity-harness")
    group.addoption(
        "--harness-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="run cases only with this backend, implementation or pattern; may be repeated",
    )
    group.addoption(
        "--parity-report",
        metavar="DIR",
        help="store what the case files' tests compare in DIR, with its page, as `harness run --out DIR` does",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark of all cases known, and count them where reports arrive."""
    config.addinivalue_line("markers", "parity: a case file's comparison of one implementation with the reference")
    config.pluginmanager.register(_Tally(), "parity-harness-tally")
    if config.getoption("--parity-report") and not config.option.collectonly:
        from harness.pytest_report import Report

        config.pluginmanager.register(Report(config), "parity-harness-report")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A collector for a case file, None for any other."""
    if file_path.suffix not in _SUFFIXES or not is_case(file_path, parent.config):
        return None
    from harness.pytest_items import CaseFile

    return CaseFile.from_parent(parent, path=file_path)


def is_case(path: Path, config: pytest.Config) -> bool:
    """Whether a YAML file is a case.

    Where `harness_cases` is set, its patterns decide. Else the file is in a folder named `cases` (below the root directory) or
    was named on the command line, and has two of the keys that every case has, so that one with a typing error is found too.
    """
    try:
        parts = path.relative_to(config.rootpath).parts
    except ValueError:
        parts = path.parts[1:]
    patterns = config.getini("harness_cases")
    if patterns:
        return any(fnmatch.fnmatchcase("/".join(parts), pattern) for pattern in patterns)
    named = any(Path(word.partition("::")[0]).name == path.name for word in config.args)
    if not named and "cases" not in parts[:-1]:
        return False
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST)
    except OSError:
        return False
    return sum(bool(key.search(text)) for key in _KEYS) >= 2


@pytest.fixture
def parity(request: pytest.FixtureRequest) -> Callable[..., Result]:
    """`parity(case, backend=(), expression="")` compares a case and fails with its differences.

    The case is a file, a folder, the id of one case or a mapping with the keys of a case file; paths, also those within a
    mapping, are seen from the folder of the test. Options are those of `harness.assert_parity`, and so is the `Result`.
    Workers are shared by all tests of the session.
    """
    config, folder = request.config, request.path.parent

    def run(case: Any, **options: Any) -> Result:
        __tracebackhide__ = True
        from harness.api import assert_parity
        from harness.errors import UserError

        found = [_seen_from(folder, one) for one in (case if isinstance(case, list | tuple) else [case])]
        message = ""
        try:
            return assert_parity(found, folder=folder, runner=shared_runner(config), **options)
        except UserError as error:
            message = str(error)
        pytest.fail(message, pytrace=False)

    return run


def _seen_from(folder: Path, case: Any) -> Any:
    return str(folder / case) if isinstance(case, str | Path) else case


class _Tally:
    """How a session's cases ended, from their reports, which with xdist arrive from other processes."""

    def __init__(self) -> None:
        self.run = 0
        self.compared = 0

    @property
    def nothing(self) -> bool:
        """Whether there were cases, and none could be compared: passing on nothing is no pass."""
        return bool(self.run) and not self.compared

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case."""
        if report.when == "call":
            for name, verdict in report.user_properties:
                if name == PROPERTY:
                    self.run += 1
                    self.compared += verdict != "unsupported"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """As the command line, fail where no implementation could be compared at all."""
        if self.nothing and exitstatus == pytest.ExitCode.OK and not hasattr(session.config, "workerinput"):
            session.exitstatus = _NOTHING_COMPARED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say so."""
        if self.nothing:
            terminalreporter.write_line("parity-harness: nothing was compared; every case was unsupported", red=True)
