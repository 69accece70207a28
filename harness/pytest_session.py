"""What the pytest plugin and the items share over a session: the workers, and how an item says what came of it.

Imported into every pytest that runs where the harness is installed, so it imports nothing but pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.records import Compared
    from harness.reporting.writer import Writer
    from harness.running import Runner

#: Name of the item property that says how a case ended; the sum of a session is made from it.
PROPERTY = "parity"
_runner = pytest.StashKey["Runner"]()
#: Where `--parity-report` stores what this process compares.
WRITER = pytest.StashKey["Writer"]()


def shared_runner(config: pytest.Config) -> Runner:
    """The session's workers: started when first needed, each framework once, ended with the session."""
    if _runner not in config.stash:
        from harness.running import Runner

        config.stash[_runner] = runner = Runner()
        config.add_cleanup(runner.close)
    return config.stash[_runner]


def store(config: pytest.Config, event: Compared) -> None:
    """Store a comparison, where a report was asked for."""
    writer: Writer | None = config.stash.get(WRITER, None)
    if writer is not None:
        writer.add(event)
