"""What is said of a difference: pairs, ties, precision, no fit; and the hook in the comparison of a run."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
from planting import compared, evidence, first_setting, named, passes, said
from port_cases import CASES, variant
from simulated import TODAY, right, rows

from harness.comparison.context import Context, Evidence
from harness.diagnosis import diagnose as module
from harness.diagnosis import observed as observing
from harness.diagnosis.advice import Advice
from harness.diagnosis.diagnose import diagnose, found
from harness.diagnosis.observed import deviation, observed
from harness.diagnosis.search import Search
from harness.frameworks.contract.framework import frameworks
from harness.records import Expectation, JobResult, Pass, PassResult, Verdict
from harness.reporting.verdicts import reason
from harness.running import conclude
from harness.tape import UNIFORM, Draw

PLAIN, STATE = CASES["plain"], CASES["state"]


def of(backend: str, **versions: str) -> Advice:
    """The advice of a backend's own framework."""
    return Advice((frameworks()[backend],), versions)


PAIRS = [
    ("plain", "gates.order[i,g,f,o] all", "bias.forget +1"),
    ("plain", "layout.reshaped both", "outputs.states swapped"),
    ("plain", "bias.doubled", "gradient.stopped recurrent kernel"),
    ("states", "inputs.state exchanged", "activation.gates hard_sigmoid"),
    ("state", "scale.missing at state.h", "mask.in evaluation"),
    ("variational", "mask.shared over batch at input (first)", "bias.absent"),
    ("stack", "mask.absent", "bias.doubled"),
    ("gru", "gates.order[r,z,n] all", "steps.detached"),
    ("dropout", "scale.twice at input", "mask.once a run"),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " + ".join(pair))
def test_pairs(pair: tuple[str, str, str]) -> None:
    case, *faults = pair
    diagnosis = diagnose(evidence(CASES[case], *faults), of("torch"))
    assert diagnosis is not None
    assert set(diagnosis.names) == set(faults), said(diagnosis)


def test_the_text_says_how_well_and_what_to_do() -> None:
    diagnosis = diagnose(evidence(PLAIN, "bias.doubled"), of("torch"))
    assert diagnosis is not None
    text = said(diagnosis)
    assert text.startswith("bias added twice: explains all 14 differing arrays to within 0.")
    assert "of their limits" in text
    assert text.endswith("put the canonical bias into one of them and zeros into the other")
    other = diagnose(evidence(PLAIN, "bias.doubled"), of("jax"))
    assert other is not None and said(other).endswith("fix: add the bias once")


def test_faults_that_the_data_cannot_tell_apart_are_named_together() -> None:
    """With constant weights every order of the gates is the right one, but for the recurrent kernel and bias that differ."""
    inputs = {"x": (4, 1, 3)}
    case = variant("lstm", {"units": 1, "return_sequences": True, "return_state": True}, inputs)
    diagnosis = diagnose(evidence(case, "bias.doubled", "gradient.doubled bias"), of("torch"))
    assert diagnosis is not None and diagnosis.fits
    case = variant("lstm", {"units": 6}, {"x": (4, 7, 3)})
    zero = {
        name: dataclasses.replace(spec, fill="zeros") if name == "bias" else spec for name, spec in case.weights.items()
    }
    case = dataclasses.replace(case, weights=zero)
    diagnosis = diagnose(evidence(case, "gates.order[i,g,f,o] both kernels, not the bias"), of("torch"))
    assert diagnosis is not None
    ties = {fault.name for fit in diagnosis.fits for fault in fit.faults}
    assert "gates.order[i,g,f,o] both kernels, not the bias" in ties


def shuffled(case: str, change: Any) -> Evidence:
    """An implementation whose outputs are changed in a way that no fault explains."""

    def with_change(one: Pass, result: PassResult) -> tuple[Pass, PassResult]:
        return one, dataclasses.replace(result, outputs=change(dict(result.outputs)))

    return Evidence(Context(CASES[case]), tuple(with_change(*item) for item in passes(CASES[case])))


def late(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    y = outputs["y"].copy()
    y[1, 4:, 2] += 0.1
    return outputs | {"y": y}


def test_where_the_two_part_when_nothing_fits() -> None:
    diagnosis = diagnose(shuffled("plain", late), of("torch"))
    assert diagnosis is not None and diagnosis.names == ()
    text = said(diagnosis)
    assert text.startswith("no known fault gives these numbers")
    assert "y parts at step 5 of 7" in text
    assert "only samples 1 of y differ (1 of 4)" in text
    assert "only features 2 of y differ (1 of 6)" in text


def test_the_layer_where_the_two_part() -> None:
    def upper(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        h = outputs["h"].copy()
        h[1] *= 1.5
        return outputs | {"h": h}

    diagnosis = diagnose(shuffled("stack", upper), of("torch"))
    assert diagnosis is not None and "layer 2 of 2 is the first whose h differs" in said(diagnosis)


def test_the_gate_where_the_two_part() -> None:
    made = []
    for one, result in passes(PLAIN):
        bias = result.gradients["bias"].copy() if result.gradients else np.zeros(24)
        bias[6:12] *= 1.7
        made.append((one, dataclasses.replace(result, gradients={**result.gradients, "bias": bias})))
    diagnosis = diagnose(Evidence(Context(PLAIN), tuple(made)), of("torch"))
    assert diagnosis is not None
    assert "all outputs are right, so it is the backward pass" in said(diagnosis)
    assert "the gradient of bias differs for gate f alone" in said(diagnosis)


def test_a_missing_draw_is_dropout_absent_in_training() -> None:
    made = tuple((one, dataclasses.replace(result, draws={})) for one, result in passes(STATE, "mask.absent"))
    diagnosis = diagnose(Evidence(Context(STATE), made), of("tensorflow"))
    assert diagnosis is not None and diagnosis.names == ("mask.absent",)
    assert "training=True" in said(diagnosis)


def test_a_mask_that_the_case_has_not_asked_for_is_told_with_what_it_does() -> None:
    """DropoutWrapper of TensorFlow 1.3: h and c are dropped, each with its own mask, where the case drops h."""
    config = {"units": 5, "return_sequences": True, "return_state": True, "drop_leaving_state": True}
    state = [{"at": "state.h", "rate": 0.4, "shared": ["gates"]}]
    asked, done = (
        variant("lstm", config, {"x": (4, 9, 3)}, dropout)
        for dropout in (state, [*state, {"at": "state.c", "rate": 0.4}])
    )
    result = conclude(JobResult(asked, asked.backends[0], passes(done)), Context(asked), TODAY)
    made = {row.check: row for row in result.rows}
    assert made["mask.sites"].verdict is Verdict.FAIL
    assert made["mask.sites"].cause == "draws at state.c, where the case has no dropout"
    assert made["value.y"].verdict is Verdict.FAIL
    assert "dropout on the cell state c as well, with a mask of its own: explains all" in reason(made["value.y"])
    assert "name state.c in the case's dropout; TensorFlow 1.3's DropoutWrapper drops both" in made["value.y"].fix
    # A mask that is drawn and used nowhere explains nothing.
    both = zip(passes(asked), passes(done), strict=True)
    unused = tuple((one, dataclasses.replace(result, draws=other.draws)) for (one, result), (_, other) in both)
    assert diagnose(Evidence(Context(asked), unused), of("tensorflow")) is None


def test_less_precision_is_told_from_a_fault() -> None:
    case = dataclasses.replace(PLAIN, dtype="float64")

    def short(one: Pass, result: PassResult) -> tuple[Pass, PassResult]:
        def cut(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: array.astype(np.float32).astype(np.float64) for name, array in arrays.items()}

        return one, PassResult(cut(result.outputs), cut(result.gradients), result.draws)

    diagnosis = diagnose(Evidence(Context(case), tuple(short(*item) for item in passes(case))), of("jax"))
    assert diagnosis is not None and diagnosis.names == ("precision.float32",)
    assert "all values are numbers of that format" in said(diagnosis) and "jax_enable_x64" in said(diagnosis)


def test_a_search_ends_in_time_and_says_so() -> None:
    seen = observed(shuffled("variational", late))
    diagnosis = found(seen, of("torch"), Search(seen, singles=40.0, pairs=0.0))
    assert not diagnosis.complete
    assert "tried, and more remain" in said(diagnosis)


def test_ill_conditioned_arrays_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    true = observing.limit_of

    def ill(context: Context, name: str, mode: str, own: Any = None) -> tuple[float, Any, bool]:
        limit, bound, given = true(context, name, mode, own)
        return limit, dataclasses.replace(bound, ill_conditioned=name in ("h", "gradient.bias")), given

    monkeypatch.setattr(observing, "limit_of", ill)

    def noisy(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return outputs | {"h": outputs["h"] + 0.3}

    assert diagnose(shuffled("plain", noisy), of("torch")) is None
    made = [(one, dataclasses.replace(r, outputs=noisy(dict(r.outputs)))) for one, r in passes(PLAIN, "bias.doubled")]
    diagnosis = diagnose(Evidence(Context(PLAIN), tuple(made)), of("torch"))
    assert diagnosis is not None and diagnosis.names == ("bias.doubled",)
    assert diagnosis.fits[0].failing == 10


def test_deviation_counts_nan_and_shapes() -> None:
    one, nan = np.ones(3), np.full(3, np.nan)
    assert deviation(one, one + 0.5, 0.25) == 2.0
    assert deviation(nan, nan, 0.1) == 0.0
    assert deviation(one, nan, 0.1) == float("inf")
    assert deviation(one, np.ones(2), 0.1) == float("inf")
    assert deviation(one, one, 0.0) == 0.0
    assert deviation(one, one + 1e-9, 0.0) == float("inf")


# --- the hook ---------------------------------------------------------------------------------------------------------


def test_rows_get_the_cause_and_keep_their_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    search = module.diagnose
    monkeypatch.setattr(module, "diagnose", lambda *args: calls.append("search") or search(*args))
    made = compared(PLAIN, "bias.doubled").rows
    failing = [row for row in made if row.verdict is Verdict.FAIL]
    assert calls == ["search"]
    assert {row.diagnosis for row in failing if row.check.startswith(("value.", "gradient."))} == {"bias added twice"}
    monkeypatch.setattr(module, "explained", lambda compared, evidence: compared)
    bare = compared(PLAIN, "bias.doubled").rows
    assert [row.verdict for row in bare] == [row.verdict for row in made]


def test_passing_rows_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "explained", lambda *args: pytest.fail("searched although all pass"))
    assert all(row.verdict is Verdict.PASS for row in rows(PLAIN).values())


def test_the_comparison_does_not_import_the_search_where_all_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "harness.diagnosis.diagnose", None)
    assert all(row.verdict is Verdict.PASS for row in rows(PLAIN).values())


def test_known_differences_are_not_searched() -> None:
    known = (Expectation("*", "*", "accepted"),)
    case = dataclasses.replace(PLAIN, expect=known)
    assert not [row for row in compared(case, "bias.doubled").rows if "bias added" in reason(row) + row.note]


def test_a_search_that_fails_is_told_and_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(module, "diagnose", broken)
    failing = [row for row in compared(PLAIN, "bias.doubled").rows if row.check == "value.y"]
    assert failing[0].verdict is Verdict.FAIL
    assert "the search for the cause failed: RuntimeError: broken" in failing[0].diagnosis
    (internal,) = (row for row in compared(PLAIN, "bias.doubled").rows if row.check == "diagnosis")
    assert internal.verdict is Verdict.ERROR
    assert internal.cause == (
        "internal error: while the cause was searched for: RuntimeError: broken; this is a bug of the harness"
    )
    assert internal.internal


def test_a_difference_without_failing_values_gets_no_cause() -> None:
    made = []
    for one, result in passes(CASES["dropout"]):
        made.append((one, result))
    evidence_rows = conclude(
        JobResult(CASES["dropout"], PLAIN.backends[0], tuple(made)), Context(CASES["dropout"]), TODAY
    ).rows
    assert not [row for row in evidence_rows if row.diagnosis]


def drawn_over(case: str, *sizes: int) -> dict[str, str]:
    """The rows' causes of an implementation that draws masks of another shape, and uses them."""
    (site,) = CASES[case].sites

    def other(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train":
            return result
        u = np.random.default_rng(one.seed).integers(0, 1 << 23, sizes).astype(np.float32) * np.float32(2.0**-23)
        return right(context, one, {site.at: Draw(UNIFORM, u, "u >= rate", site=site.at)})

    return {name: reason(row) for name, row in rows(CASES[case], other).items() if row.verdict is Verdict.FAIL}


def test_masks_that_are_shared_otherwise_say_what_to_do() -> None:
    found = drawn_over("input", 1, 4, 7, 6)
    assert set(found) == {"mask.shared"}
    assert "cause: a new mask along time at input; fix: draw the mask once, before the loop" in found["mask.shared"]
    found = drawn_over("output", 1, 7, 6)
    assert "cause: one mask for the whole batch at output; fix: draw a mask for every sample" in found["mask.shared"]


def test_named_faults_exist() -> None:
    for case, *faults in PAIRS:
        assert len(named(first_setting(CASES[case]), faults)) == 2
