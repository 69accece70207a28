"""Where the two part when nothing fits: by kind, direction, half, layer and gate, for faults that no catalogue has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from planting import first_setting, said
from port_cases import variant
from simulated import draw_for

from harness.cases import numpy_dtype
from harness.comparison.context import Context, Evidence
from harness.diagnosis.advice import Advice
from harness.diagnosis.diagnose import found
from harness.diagnosis.gate_of import gate_of
from harness.diagnosis.observed import Observed, observed, setting_of
from harness.diagnosis.parting import parting
from harness.diagnosis.search import Search
from harness.diagnosis.setting import Setting, reference
from harness.execution.plan import passes_of
from harness.records import Arrays, PassResult, Variant

BOTH = {"return_sequences": True, "return_state": True}
X, STATES = {"x": (4, 7, 3)}, {"h0": (4, 5), "c0": (4, 5)}
Change = Callable[[Setting], Setting]


def passes(case: Variant, change: Change) -> list[Observed]:
    """What an implementation gives whose inputs or weights are otherwise than they should be."""
    context, made = Context(case), []
    like = numpy_dtype(case.dtype)

    def rounded(arrays: Arrays) -> Arrays:
        return {name: np.asarray(array).astype(like) for name, array in arrays.items()}

    for one in passes_of(case):
        draws = draw_for(context, one) if one.mode == "train" else {}
        evaluation = reference(change(setting_of(context, one, PassResult({}, {}, draws), {})))
        made.append((one, PassResult(rounded(evaluation.outputs), rounded(evaluation.gradients), draws)))
    return observed(Evidence(context, tuple(made)))


def later(name: str, step: int) -> Change:
    """An input that is otherwise from a step on, in every sample and feature by other amounts."""

    def change(setting: Setting) -> Setting:
        array = setting.inputs[name].copy()
        array[:, step:] += np.random.default_rng(1).uniform(0.1, 0.4, array[:, step:].shape)
        return setting.changed(inputs={**setting.inputs, name: array})

    return change


def noisy(*names: str, gate: int | None = None, gates: int = 4, size: float = 0.3) -> Change:
    """Weights with noise in them, or in one gate's blocks alone."""

    def change(setting: Setting) -> Setting:
        rng = np.random.default_rng(2)
        weights = dict(setting.weights)
        for name in names:
            array = weights[name].copy()
            blocks = array.reshape(*array.shape[:-1], gates, -1)
            part = blocks if gate is None else blocks[..., gate, :]
            part += rng.uniform(-size, size, part.shape)
            weights[name] = array
        return setting.changed(weights=weights)

    return change


RNN = variant("simple_rnn", {"units": 5, **BOTH}, X)
GRU = variant("gru", {"units": 5, **BOTH}, X)
BEFORE = variant("gru", {"units": 5, "reset_after": False, **BOTH}, X)
LSTM = variant("lstm", {"units": 5, **BOTH}, X)
STARTED = variant("lstm", {"units": 5, **BOTH}, {**X, **STATES})
LAST = variant("lstm", {"units": 5, "return_state": True}, X)
STACK = variant("lstm", {"units": 5, "layers": 3, **BOTH}, X)
BOTH_WAYS = variant("lstm", {"units": 5, "bidirectional": True, **BOTH}, X)
DEEP = variant("lstm", {"units": 5, "layers": 2, "bidirectional": True, **BOTH}, X)
BACKWARDS = variant("lstm", {"units": 5, "go_backwards": True, **BOTH}, X)
PAIR = variant("encoder_decoder", {"units": 5, **BOTH}, {**X, "z": (4, 6, 2)})
WORDS = variant(
    "awd_lstm", {"vocabulary": 7, "features": 4, "units": 5, "layers": 2, "return_state": True}, {"x": (3, 5)}
)
WORDS = dataclasses.replace(WORDS, inputs={"x": dataclasses.replace(WORDS.inputs["x"], fill="integers", low=0, high=6)})


def other_tokens(setting: Setting) -> Setting:
    x = setting.inputs["x"].copy()
    x[:, 3:] = (x[:, 3:] + 1) % 6
    return setting.changed(inputs={**setting.inputs, "x": x})


@pytest.mark.parametrize(
    ("case", "change", "words"),
    [
        (RNN, later("x", 4), ["y parts at step 5 of 7; the steps before it are right"]),
        (GRU, later("x", 4), ["y parts at step 5 of 7; the steps before it are right"]),
        (LSTM, later("x", 4), ["y parts at step 5 of 7; the steps before it are right"]),
        (BACKWARDS, later("x", 4), ["y parts at its first step, before the recurrence has acted"]),
        (LSTM, noisy("bias"), ["y parts at its first step, before the recurrence has acted"]),
        (STARTED, noisy("recurrent_kernel"), ["y parts at its first step, from the initial state"]),
        (LSTM, noisy("recurrent_kernel"), ["y parts at step 2 of 7"]),
        (LAST, noisy("kernel"), ["y is one step alone: with return_sequences"]),
        (STACK, noisy("layer1.kernel"), ["layer 2 of 3 is the first whose h differs"]),
        (STACK, noisy("layer0.kernel"), ["layer 1 of 3 is the first whose h differs"]),
        (BOTH_WAYS, later("x", 4), ["the forward direction differs in y, from its step 5 of 7 on",
                                    "the backward direction differs in y, from its step 1 of 7 on, read from the end"]),
        (BOTH_WAYS, noisy("backward.recurrent_kernel"),
         ["the backward direction alone differs in y, from its step 2 of 7 on, read from the end",
          "layer 1 of 1 is the first whose backward h differs"]),
        (BOTH_WAYS, noisy("forward.kernel"), ["the forward direction alone differs in y, from its step 1 of 7 on;",
                                              "layer 1 of 1 is the first whose forward h differs"]),
        (DEEP, noisy("layer0.backward.kernel"), ["layer 1 of 2 is the first whose backward h differs"]),
        (DEEP, noisy("layer1.forward.kernel"), ["layer 2 of 2 is the first whose forward h differs"]),
        (PAIR, later("z", 3), ["y parts at step 4 of 6", "the encoder's state is right, so it is the handover or the decoder"]),
        (PAIR, noisy("decoder.kernel"), ["y parts at its first step, from the initial state", "the encoder's state is right"]),
        (PAIR, noisy("encoder.kernel"), ["encoder.h and encoder.c of the encoder differ already"]),
        (WORDS, other_tokens, ["y parts at step 4 of 5", "layer0.h is the first state that differs"]),
        (WORDS, noisy("layer1.kernel"), ["layer1.h is the first state that differs"]),
    ],
)  # fmt: skip
def test_where_the_two_part(case: Variant, change: Change, words: list[str]) -> None:
    text = parting(passes(case, change))
    assert [one for one in words if one not in text + ";"] == [], text


def test_what_is_said_ends_a_diagnosis_without_a_fit() -> None:
    seen = passes(PAIR, noisy("decoder.kernel"))
    diagnosis = found(seen, Advice(), Search(seen, singles=400.0, pairs=80.0))
    assert diagnosis.names == ()
    assert "the encoder's state is right, so it is the handover or the decoder" in said(diagnosis)


@pytest.mark.parametrize("weights", [("kernel", "recurrent_kernel", "bias"), ("recurrent_kernel",), ("bias",)])
@pytest.mark.parametrize("gate", range(4))
def test_the_gate_of_an_lstm(gate: int, weights: tuple[str, ...]) -> None:
    wide = variant("lstm", {"units": 12, **BOTH}, {"x": (8, 9, 6)}, gradients=False)
    text = gate_of(passes(wide, noisy(*weights, gate=gate, size=1.5))[0])
    assert f" {'ifgo'[gate]} " in f" {text}".replace(" alone", " alone "), text
    assert " or " not in text


@pytest.mark.parametrize("weights", [("kernel", "recurrent_kernel", "bias"), ("recurrent_kernel",)])
@pytest.mark.parametrize("gate", range(3))
def test_the_gate_of_a_gru(gate: int, weights: tuple[str, ...]) -> None:
    wide = variant("gru", {"units": 12, **BOTH}, {"x": (8, 9, 6)}, gradients=False)
    text = gate_of(passes(wide, noisy(*weights, gate=gate, gates=3, size=1.5))[0])
    assert f" {'zrn'[gate]} alone" in text, text


@pytest.mark.parametrize("case", [GRU, BEFORE, LSTM, STARTED])
def test_no_gate_is_named_where_all_are_wrong(case: Variant) -> None:
    gates = 4 if case.layer == "lstm" else 3
    assert gate_of(passes(case, noisy("kernel", "recurrent_kernel", "bias", gates=gates, size=1.0))[0]) == ""
    assert gate_of(passes(case, lambda setting: setting)[0]) == ""


@pytest.mark.parametrize("gate", range(4))
def test_the_gate_is_named_where_dropout_hides_it_in_training(gate: int) -> None:
    case = variant("lstm", {"units": 12, **BOTH}, {"x": (8, 9, 6)}, [{"at": "output", "rate": 0.4}], gradients=False)
    text = parting(passes(case, noisy("kernel", "recurrent_kernel", "bias", gate=gate, size=1.5)))
    assert f" {'ifgo'[gate]} alone can give these outputs" in text, text


def test_settings_that_cannot_be_solved_are_left_out() -> None:
    for case in (STACK, BOTH_WAYS, LAST, RNN, PAIR):
        assert gate_of(passes(case, noisy(next(iter(first_setting(case).weights)), gates=1))[0]) == ""
