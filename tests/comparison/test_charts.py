"""What a report draws: figures of a right implementation, and what a planted fault makes of them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from simulated import judged
from test_checks import ADDITIVE, DROPOUT, GAUSSIAN, HANDOVER, LSTM, MASKED, OUTPUT, STACK, VARIATIONAL

from harness.comparison import charts
from harness.comparison.context import Context
from harness.records import Pass, PassResult, Variant

ALL = [ADDITIVE, DROPOUT, GAUSSIAN, HANDOVER, LSTM, MASKED, OUTPUT, STACK, VARIATIONAL]


def changed(**outputs: Any) -> Any:
    """Plants a fault: each named output of the case's own mode is replaced by what a function makes of it."""

    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.role != context.variant.mode:
            return result
        made = {name: change(result.outputs[name].copy(), result.outputs) for name, change in outputs.items()}
        return dataclasses.replace(result, outputs=result.outputs | made)

    return mutate


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.layer)
def test_they_are_plain_and_finite_where_all_is_right(case: Variant) -> None:
    found = judged(case).charts
    assert "problem" not in found
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for row, chart in found["results"].items():
        size = sum(chart["ulps"])
        shape = Context(case).output_shapes.get(row.removeprefix("value."))
        assert shape is None or size == len(case.seeds) * np.prod(shape), row


def test_a_deviation_shows_at_its_step_and_element_and_in_its_bin() -> None:
    def off(y: np.ndarray, _: Any) -> np.ndarray:
        y[2, 4, 1] += 0.5
        return y

    chart = judged(LSTM, changed(y=off)).charts["results"]["value.y"]
    assert chart["steps"][4] == pytest.approx(0.5, abs=1e-6)
    assert max(value for step, value in enumerate(chart["steps"]) if step != 4) < 1e-6
    assert len(chart["steps"]) == chart["of"] == 7
    (index, seed, got, expected, off), *_ = chart["worst"]
    assert (index, seed) == ("2, 4, 1", "0")
    assert got - expected == pytest.approx(off) == pytest.approx(0.5, abs=1e-6)
    assert sum(chart["ulps"][12:]) == 2, "one element of each of two seeds is more than 1024 ULPs off"
    assert sum(judged(LSTM).charts["results"]["value.y"]["ulps"][12:]) == 0


def test_ulps_are_counted_by_powers_of_two() -> None:
    actual = np.ones(8, np.float32)
    expected = actual.astype(np.float64) + np.array([0, 1, 1, 2, 3, 4, 5, 9]) * 2.0**-23
    counts = np.zeros(66, int)
    for distance, count in charts.compare_arrays(actual, expected, 0.0).ulp_histogram:
        counts[distance.bit_length()] += count
    assert counts[:6].tolist() == [1, 2, 1, 2, 1, 1]


def test_what_is_not_a_number_is_farthest() -> None:
    expected = np.zeros((2, 3))
    actual = np.array([[0.0, np.nan, 1.0], [np.inf, 0.0, -2.0]])
    assert [one[1] for one in charts.farthest(0, actual, expected)] == ["0, 1", "1, 0", "1, 2", "0, 2"]
    assert charts.deviation(np.array([np.nan, np.inf, -np.inf]), np.array([np.nan, np.inf, np.inf])).tolist() == [
        0.0,
        0.0,
        np.inf,
    ]


def test_the_worst_of_many_are_those_of_a_sort() -> None:
    gap = np.random.default_rng(0).random((300, 300))
    assert charts.largest_of(gap).tolist() == np.argsort(-gap.reshape(-1))[: charts.LISTED].tolist()


def test_a_long_sequence_has_few_points_and_keeps_its_worst_step() -> None:
    gap = np.zeros((2, 1000, 3))
    gap[1, 777, 2] = 3.0
    points, per = charts.over_time([gap])
    assert len(points) <= charts.POINTS
    assert points[777 // per] == 3.0 == max(points)


@pytest.mark.parametrize(
    ("case", "mean", "spread"), [(GAUSSIAN, 1.0, (0.3 / 0.7) ** 0.5), (ADDITIVE, 0.0, 0.5), (MASKED, 0.0, 0.5)]
)
def test_noise_lies_by_its_theory(case: Variant, mean: float, spread: float) -> None:
    chart = judged(case).charts["noise"]
    assert chart["theory"] == pytest.approx([mean, spread], rel=1e-4)
    assert chart["mean"] == pytest.approx(mean, abs=0.05)
    assert chart["stddev"] == pytest.approx(spread, rel=0.05)
    counts = np.array(chart["counts"])
    assert len(counts) == charts.BINS
    assert counts[: charts.BINS // 2].sum() == pytest.approx(counts.sum() / 2, rel=0.1)


def test_wrong_noise_is_seen_to_be_wrong() -> None:
    x = np.asarray(Context(GAUSSIAN).arrays()[0]["x"])
    chart = judged(GAUSSIAN, changed(y=lambda y, _: (x + 2 * (y - x)).astype(y.dtype))).charts["noise"]
    assert chart["stddev"] > 1.5 * chart["theory"][1]


def test_the_scale_names_every_right_rule() -> None:
    chart = judged(DROPOUT).charts["scale"]
    assert chart["rules"]["x / d(keep)"] == 0
    assert chart["rules"]["x * d(1 / keep)"] in (0, 1)
    assert chart["ratio"] == pytest.approx([1 / 0.7] * 2, rel=1e-6)
    wrong = judged(DROPOUT, changed(y=lambda y, _: (y * np.float32(0.7)).astype(y.dtype))).charts["scale"]
    assert wrong["rules"]["x"] <= 1
    assert min(distance for name, distance in wrong["rules"].items() if name != "x") > 1000


def test_the_last_step_is_h_and_c_is_neither() -> None:
    chart = judged(LSTM).charts["states"]
    assert chart["steps"] == 7
    assert chart["h"] == 0.0
    assert chart["c"] > 0.01
    swapped = judged(LSTM, changed(h=lambda _, outputs: outputs["c"], c=lambda _, outputs: outputs["h"]))
    assert swapped.charts["states"]["h"] == chart["c"]
    assert swapped.charts["states"]["c"] == 0.0
    assert judged(STACK).charts["states"]["h"] == 0.0
    assert "states" not in judged(OUTPUT).charts, "dropout stands between the state and the output"


def test_the_decoder_starts_from_the_nearest() -> None:
    starts = judged(HANDOVER).charts["handover"]["starts"]
    assert min(starts, key=lambda name: starts[name]) == "(h, c)"
    assert set(starts) == {"(h, c)", "(c, h)", "zeros", "h without c", "c without h"}


def test_a_chart_that_fails_says_so_and_the_rows_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(charts, "noise", broken)
    found = judged(GAUSSIAN)
    assert found.charts == {}
    assert {row.check for row in found.rows} >= {"noise.mean", "value.y"}
    (internal,) = (row for row in found.rows if row.internal)
    assert (
        internal.cause == "internal error: while its charts were made: RuntimeError: no; this is a bug of the harness"
    )
