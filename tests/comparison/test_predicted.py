"""mask.predicted: passes on what the seed gives, fails on anything else, and says so where nothing is promised."""

from __future__ import annotations

import dataclasses
import textwrap
from pathlib import Path

import numpy as np
import pytest
from simulated import TODAY, right, variant

from harness.cases import load
from harness.comparison.context import Context
from harness.errors import UserError
from harness.execution.plan import make_tape, passes_of
from harness.records import BackendRef, JobResult, Row, Variant, Verdict
from harness.running import conclude
from harness.streams import oracle, predict
from harness.tape import BERNOULLI, Draw

TORCH = BackendRef("torch", "torch.nn.Dropout")
LOCKED = {"rate": 0.4, "shared": ["time"]}
CASE = variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)}, backends=(TORCH,))


def row(case: Variant, seed_of: object, version: str = "2.13.0+cpu") -> Row | None:
    """The row of an implementation that draws what torch draws from `seed_of(seed)`."""
    context = Context(case)
    passes = []
    for one in passes_of(case):
        mask = predict("torch.nn.Dropout", "2.13", seed_of(one.seed), (6, 8, 10), 0.3).keep  # type: ignore[operator]
        draws = {"input": Draw(BERNOULLI, mask, params={"keep": 0.7}, site="input")}
        passes.append((one, right(context, one, draws if one.mode == "train" else {})))
    result = JobResult(case, case.backends[0], tuple(passes), versions={"torch": version})
    return {found.check: found for found in conclude(result, context, TODAY).rows}.get("mask.predicted")


def test_what_the_seed_gives_passes() -> None:
    found = row(CASE, lambda seed: seed)
    assert found is not None
    assert (found.verdict, found.measured) == (Verdict.PASS, 0)
    assert "MT19937" in found.note


def test_another_stream_is_caught() -> None:
    found = row(CASE, lambda seed: seed + 1)
    assert found is not None
    assert found.verdict is Verdict.FAIL
    assert "are not what the seed gives" in found.cause


def test_the_version_decides_which_rule_is_asked() -> None:
    found = row(CASE, lambda seed: seed, version="2.0.1")  # then another stream
    assert found is not None
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "backend",
    [
        BackendRef("numpy", "numpy.dropout"),
        BackendRef("torch", "torch.nn.Dropout", options={"compile": True}),
        BackendRef("torch", name="mine", target="mine.py:run"),
    ],
)
def test_nothing_is_asked_where_no_rule_speaks(backend: BackendRef) -> None:
    assert not oracle.asks(CASE, backend)
    assert row(dataclasses.replace(CASE, backends=(backend,)), lambda seed: seed) is None


@pytest.mark.parametrize(
    ("layer", "config", "shape", "dropout", "backend", "shapes"),
    [
        ("dropout", LOCKED, (4, 3, 5), [], BackendRef("torch", "torch.nn.Dropout1d"), {"input": (4, 1, 5)}),
        ("dropout", LOCKED, (4, 3, 5), [], BackendRef("jax", "flax.nnx.Dropout"), {"input": (4, 1, 5)}),
        (
            "dropout",
            {"rate": 0.4, "shared": ["height", "width"]},
            (4, 3, 2, 5),
            [],
            BackendRef("tensorflow", "keras.layers.SpatialDropout2D"),
            {"input": (4, 1, 1, 5)},
        ),
        (
            "lstm",
            {"units": 6, "layers": 3},
            (4, 7, 5),
            [{"at": "between_layers", "rate": 0.4}],
            BackendRef("torch", "torch.nn.LSTM"),
            {"between_layers": (2, 4, 7, 6)},
        ),
        (
            "lstm",
            {"units": 6},
            (4, 7, 5),
            [{"at": "input", "rate": 0.4, "shared": ["time"]}, {"at": "state.h", "rate": 0.3, "shared": ["time"]}],
            BackendRef("jax", "keras.layers.LSTM"),
            {"input": (4, 4, 1, 5), "state.h": (4, 4, 1, 6)},
        ),
    ],
)  # fmt: skip
def test_predicted_masks_lie_as_the_sites_do(
    layer: str,
    config: dict[str, object],
    shape: tuple[int, ...],
    dropout: list[dict[str, object]],
    backend: BackendRef,
    shapes: dict[str, tuple[int, ...]],
) -> None:
    case = variant(layer, config, {"x": shape}, dropout)
    masks, provenance = oracle.whole_mask(case, backend, None, 3)
    for site in case.sites:
        assert np.broadcast_shapes(masks[site.at].shape, site.full) == site.full
        collapsed = masks[site.at]
        for axis, size in enumerate(shapes[site.at]):
            if size == 1 and collapsed.shape[axis] > 1:
                assert (collapsed == collapsed.take([0], axis)).all()
    assert provenance


def written(tmp_path: Path, draws: str) -> Path:
    path = tmp_path / "case.yaml"
    path.write_text(
        textwrap.dedent(
            f"""
            about: x
            layer: dropout
            config: {{rate: 0.3}}
            inputs: {{x: {{shape: [4, 5], fill: normal}}}}
            {draws}
            backends: [numpy]
            """
        ).lstrip()
    )
    return path


def test_a_case_replays_predicted_masks(tmp_path: Path) -> None:
    (case,) = load(
        [
            written(
                tmp_path,
                'draws: predicted\npredict: {like: torch.nn.Dropout, version: "2.0"}'.replace("\n", "\n" + " " * 12),
            )
        ]
    )
    tape = make_tape(case, 7)
    assert np.array_equal(tape["input"], predict("torch.nn.Dropout", "2.0", 7, (4, 5), 0.3).keep)
    assert not np.array_equal(tape["input"], predict("torch.nn.Dropout", "2.13", 7, (4, 5), 0.3).keep)


@pytest.mark.parametrize(
    ("draws", "words"),
    [
        ("draws: predicted", r"case\.yaml:5:8: draws: needs `predict`"),
        (
            "predict: {like: torch.nn.Dropout}",
            r"case\.yaml:5:1: predict: says whose masks to replay; that needs draws: predicted",
        ),
        (
            "draws: predicted\npredict: {like: torch.nn.Dropot}",
            r"predict\.like: no rule for 'torch.nn.Dropot' \(did you mean",
        ),
        (
            'draws: predicted\npredict: {like: torch.nn.Dropout, version: "99"}',
            r"predict\.version: torch\.nn\.Dropout 99 has not been measured; the newest that was is \d+\.\d+",
        ),
        ("draws: predicted\npredict: {like: keras.layers.Dropout}", r"predict\.like: .*needs a backend"),
    ],
)
def test_what_cannot_be_predicted_is_told_with_its_place(tmp_path: Path, draws: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load([written(tmp_path, draws.replace("\n", "\n" + " " * 12))])


@pytest.mark.parametrize("shape", [(), (5,)])
def test_a_layer_for_channels_is_asked_nothing_of_an_array_without_them(shape: tuple[int, ...]) -> None:
    case = variant("dropout", {"rate": 0.5}, {"x": shape})
    assert list(oracle.questions(case, BackendRef("torch", "torch.nn.Dropout2d"), None, 0)) == []
    (asked,) = oracle.questions(case, BackendRef("torch", "torch.nn.Dropout"), None, 0)
    assert oracle.answer(asked)[0].shape == shape
