"""Small cases that people's reports came down to (tests/public_reports), each with the outcome that is right.

Every one of them was once a false pass, a false alarm, a false sentence or a lost run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import harness
from harness.reporting.groups import grouped
from harness.reporting.verdicts import DIFFERENCES

FOLDER = Path(__file__).parent / "public_reports"


@dataclass(frozen=True)
class Right:
    """The right outcome. needs: packages; told: implementation -> what its first group says, and the checks that must be in one;
    () where all pass. also: what any of its groups says. never: words that stand nowhere.
    """

    needs: tuple[str, ...] = ()
    told: tuple[tuple[str, str, str], ...] = ()
    never: tuple[str, ...] = ()
    also: tuple[tuple[str, str, str], ...] = ()


SHAPES = {
    "time-major": "y is (7, 3, 6), (3, 7, 6) is asked: time and batch exchanged",
    "one-axis-less": "y is (7, 6), (3, 7, 6) is asked: its first axis, the batch, is missing",
}
CASES: dict[str, Right] = {
    "awd_lstm_18_layers.yaml": Right(),
    "masked_noise_stddev_0.yaml": Right(),
    "hard_sigmoid_gradients.yaml": Right(("tf_keras",)),
    "state_order.yaml": Right((), (("mine", "c is farthest off", "value.c"),), ("swapped",)),
    "kept_mask/case.yaml": Right(
        ("tf_keras",),
        (
            ("loop", "a new mask along gates at input", "mask.shared"),
            ("loop with resets", "a new mask along gates at input", "mask.shared"),
        ),
        also=(("loop", "drawn once and kept", "mask.other_call"),),
    ),
    "unused_draws/min.yaml": Right(
        ("tf_keras",),
        # tf_keras draws a mask for every step, and the port is that very layer.
        tuple((who, "drawn anew over time", "mask.shared") for who in ("mine", "tensorflow: tf_keras.layers.LSTM")),
        ("no known fault",),
    ),
    "last/min_lstm.yaml": Right(),
    "last/min_gru.yaml": Right(),
    "last/min_simple_rnn.yaml": Right(),
    "last/min_ed.yaml": Right(),
    "last/no_batch_first.yaml": Right(
        ("torch", "keras", "tensorflow"), (("mine", "time and batch exchanged: the sequence is read along the batch", "value.y"),)
    ),
    "leak/leak.yaml": Right(("torch",), (("mine", "it starts from the first call's last (h, c)", "value.later_call"),)),
    "leak/inplace_weight_drop.yaml": Right(
        ("torch",), (("mine", "it starts from the weights that the first call dropped", "value.later_call"),)
    ),
    "replay_only/only_replay.yaml": Right(
        ("torch",), (("my-port", "draws one output mask of shape (4, 1, 6), the tape has (4, 7, 6)", "mask.sites"),)
    ),
    "uniform/uni2.yaml": Right(("torch",)),
    "uniform/unijax.yaml": Right(("jax",)),
    "uniform/unitf.yaml": Right(("tensorflow",)),
    **{
        f"shapes/c_{backend}_{how}.yaml": Right((backend,), (("mine", text, "value.shape"),))
        for backend in ("numpy", "torch", "jax", "tensorflow")
        for how, text in SHAPES.items()
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def runner() -> Iterator[harness.Runner]:
    with harness.Runner() as workers:
        yield workers


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_report_has_its_right_outcome(name: str, runner: harness.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    right = CASES[name]
    for package in right.needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(FOLDER)
    result = harness.run(name, runner=runner)
    groups = grouped(row for row in result.rows if row.verdict in DIFFERENCES)
    assert {group.implementation for group in groups} == {who for who, _, _ in right.told}, result.summary
    assert result.exit_code == (1 if right.told else 0)
    for who, text, check in right.told:
        first = next(group for group in groups if group.implementation == who)
        assert text in "\n".join([first.headline, *first.details()]), result.summary
        assert check in first.checks
    for who, text, check in right.also:
        assert any(group.implementation == who and text in group.headline and check in group.checks for group in groups)
    for text in right.never:
        assert text not in result.summary


def test_every_report_is_asked_for() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")}
    assert files == set(CASES)
