"""Without a terminal a long run says every fifteen seconds how far it is; a short one says nothing."""

from __future__ import annotations

import threading

import pytest

from harness.commands.heartbeat import Heartbeat, duration


def test_a_line_says_what_is_done_what_runs_and_what_is_left() -> None:
    now = [100.0]
    pulse = Heartbeat(40, lambda _: None, clock=lambda: now[0])
    assert pulse.line() == "0 of 40 done"
    pulse.started("a  torch")
    now[0] += 20.0
    assert pulse.line() == "0 of 40 done; now a  torch, for 20 s"
    pulse.started("b  jax")
    assert pulse.line() == "0 of 40 done; now b  jax"
    pulse.finished(3)
    for _ in range(9):
        pulse.finished(0)
    now[0] += 20.0
    assert pulse.line() == "10 of 40 done; 3 differ; now b  jax, for 20 s; about 2 min left"
    for _ in range(30):
        pulse.finished(0)
    assert pulse.line() == "40 of 40 done; 3 differ"


def test_it_speaks_until_it_is_ended_and_not_after() -> None:
    said: list[str] = []
    heard = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        heard.set()

    pulse = Heartbeat(2, say, every=0.01)
    pulse.begin()
    assert heard.wait(10.0)
    pulse.end()
    count = len(said)
    assert count >= 1
    assert not pulse._thread.is_alive()
    assert len(said) == count


def test_where_nobody_listens_it_falls_silent() -> None:
    def say(_line: str) -> None:
        raise BrokenPipeError

    pulse = Heartbeat(2, say, every=0.01)
    pulse.begin()
    pulse._thread.join(timeout=10.0)
    assert not pulse._thread.is_alive()
    pulse.end()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (40.4, "40 s"), (100.0, "2 min"), (5340.0, "89 min"), (7800.0, "2 h 10 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_run_in_a_pipe_speaks_and_a_quiet_one_does_not(harness, case, execution, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    spoken: list[int] = []
    monkeypatch.setattr("harness.commands.heartbeat.Heartbeat.begin", lambda self: spoken.append(self._total))
    assert harness("run", "cases")[0] == 0
    assert spoken == [4]
    assert harness("run", "cases", "-q")[0] == 0
    assert spoken == [4]
