"""`mask.independence` along every axis: planted dependence is found and its axis named; legitimate copies raise no alarm."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from simulated import Mutate, right, rows, variant

from harness.comparison.checks.base import checks
from harness.comparison.context import Context, Evidence
from harness.records import Pass, PassResult, Variant, Verdict
from harness.tape import UNIFORM, Draw

DROPOUT = variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)}, gradients=False)
GATES = variant(
    "lstm",
    {"units": 12},
    {"x": (8, 7, 10)},
    [{"at": "state.h", "rate": 0.5, "shared": ["time"]}],
    gradients=False,
)
AXES = {"gates": (GATES, 0), "batch": (DROPOUT, 0), "time": (DROPOUT, 1), "features": (DROPOUT, 2)}
Change = Callable[[np.ndarray, int], np.ndarray]


def redrawn(change: Callable[[Pass, np.ndarray], np.ndarray]) -> Mutate:
    """The layer's draws changed, its outputs too."""

    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train":
            return result
        draws = {key: draw._replace(values=change(one, draw.values)) for key, draw in result.draws.items()}
        return right(context, one, draws)

    return mutate


def failing(case: Variant, change: Callable[[Pass, np.ndarray], np.ndarray]) -> dict[str, str]:
    found = rows(case, redrawn(change))
    return {check: row.cause for check, row in found.items() if row.verdict is not Verdict.PASS}


def neighbours(values: np.ndarray, axis: int) -> np.ndarray:
    """Every second slice repeats most of the one before."""
    moved = np.ascontiguousarray(np.moveaxis(values, axis, 0)).copy()
    last = len(moved) // 2 * 2
    part = moved[0].size * 3 // 4
    for k in range(0, last, 2):
        moved[k + 1].reshape(-1)[:part] = moved[k].reshape(-1)[:part]
    return np.ascontiguousarray(np.moveaxis(moved, 0, axis))


def far_copy(values: np.ndarray, axis: int) -> np.ndarray:
    """The last slice is the first one again, however far apart they are."""
    moved = np.ascontiguousarray(np.moveaxis(values, axis, 0)).copy()
    moved[-1] = moved[0]
    return np.ascontiguousarray(np.moveaxis(moved, 0, axis))


def everywhere(values: np.ndarray, axis: int) -> np.ndarray:
    """One slice for the whole axis, recorded at its full size."""
    return np.broadcast_to(values.take([0], axis), values.shape).copy()


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("change", [neighbours, far_copy, everywhere])
def test_dependence_along_each_axis_is_found_and_named(axis: str, change: Change) -> None:
    case, number = AXES[axis]
    found = failing(case, lambda _one, values: change(values, number))
    assert f"along {axis} are" in found["mask.independence"]
    assert set(found) <= {"mask.independence", "mask.shared"}
    assert ("mask.shared" in found) == (change is everywhere)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_that_gives_another_ones_mask_is_found(seed: int) -> None:
    case = dataclasses.replace(DROPOUT, seeds=(0, 1, 2))
    first = np.random.default_rng([0, 0]).integers(0, 1 << 23, (6, 8, 10)).astype(np.float32) * np.float32(2.0**-23)
    found = failing(case, lambda one, values: first if one.seed == seed else values)
    assert "along seeds are" in found["mask.independence"]


def test_opposite_masks_are_a_dependence() -> None:
    """Antithetic masks, as some implementations draw for pairs of samples: kept in the one, dropped in the other."""
    case = variant("dropout", {"rate": 0.5}, {"x": (6, 8, 10)}, gradients=False)

    def opposite(_one: Pass, values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[4] = np.float32(1.0 - 2.0**-23) - changed[1]
        return changed

    assert "along batch are" in failing(case, opposite)["mask.independence"]


SHARED = {
    "time": (variant("dropout", {"rate": 0.3, "shared": ["time"]}, {"x": (12, 30, 16)}, gradients=False), 1),
    "batch": (variant("dropout", {"rate": 0.3, "shared": ["batch"]}, {"x": (30, 12, 16)}, gradients=False), 0),
    "features": (variant("dropout", {"rate": 0.3, "shared": ["features"]}, {"x": (12, 16, 30)}, gradients=False), 2),
}


@pytest.mark.parametrize("axis", SHARED)
def test_copies_that_the_case_shares_are_no_dependence(axis: str) -> None:
    """A framework that records a shared mask at the array's full size, copies and all."""
    case, number = SHARED[axis]
    full = case.inputs["x"].shape
    assert case.sites[0].shape[number] == 1
    assert failing(case, lambda _one, values: np.broadcast_to(values, full).copy()) == {}


@pytest.mark.parametrize("name", ["mask.rate", "mask.frequency", "mask.independence"])
def test_copies_are_no_evidence(name: str) -> None:
    """Two hundred right masks, recorded thirty times over: none is suspicious. Counted as independent, many would be."""
    case, _ = SHARED["time"]
    context, site = Context(case), case.sites[0]
    rng = np.random.default_rng(3)
    suspicious = 0
    for _ in range(200):
        passes = []
        for seed in (0, 1):
            u = np.broadcast_to(rng.random(site.shape), site.full)
            draws = {"input": Draw(UNIFORM, u, "u >= rate", site="input")}
            passes.append((Pass("train", seed, "train"), PassResult({}, {}, draws)))
        (found,) = checks()[name].answer(Evidence(context, tuple(passes)))
        assert found.verdict is Verdict.PASS
        suspicious += found.again is not None
    assert suspicious <= 1


def test_what_should_be_distinct_and_is_copied_fails_where_sharing_is_not_asked_for() -> None:
    case = dataclasses.replace(DROPOUT, checks=("mask.independence", "mask.rate"))
    found = failing(case, lambda _one, values: everywhere(values, 1))
    assert list(found) == ["mask.independence"]
    assert "7 of its masks along time are copies of others" in found["mask.independence"]
