"""The catalogue: every fault is found when it is planted, and its gradients are those of its outputs."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache

import numpy as np
import pytest
from planting import evidence, first_setting, said
from port_cases import CASES, variant

from harness.diagnosis.advice import Advice
from harness.diagnosis.diagnose import diagnose
from harness.diagnosis.fault import Fault, FaultError, catalogue, families, family, planted
from harness.diagnosis.power import power
from harness.diagnosis.setting import Setting, reference

BOTH = {"return_sequences": True, "return_state": True}
DROPPED_GRU = [{"at": "output", "rate": 0.3}, {"at": "state.h", "rate": 0.4, "shared": ["time"]}]
MORE = {
    "dropped gru": variant("gru", {"units": 5, **BOTH}, {"x": (3, 5, 5), "h0": (3, 5)}, DROPPED_GRU),
    "before gru": variant("gru", {"units": 4, "reset_after": False, **BOTH}, {"x": (3, 4, 2)}),
    "square states": variant("lstm", {"units": 4, **BOTH}, {"x": (4, 4, 4), "h0": (4, 4), "c0": (4, 4)}),
    "words": variant(
        "awd_lstm", {"vocabulary": 7, "features": 4, "units": 4, "layers": 2, "return_state": True}, {"x": (3, 5)},
        [{"at": "embedding.rows", "rate": 0.3, "shared": ["batch", "features"]}, {"at": "weight.recurrent", "rate": 0.4}],
    ),
    "dropped rnn": variant(
        "simple_rnn", {"units": 5, **BOTH}, {"x": (3, 5, 5), "h0": (3, 5)},
        [{"at": "input", "rate": 0.3}, {"at": "state.h", "rate": 0.4, "shared": ["time"]}],
    ),
    "blended gru": variant(
        "gru", {"units": 5, **BOTH}, {"x": (3, 5, 4)}, [{"at": "state.h", "rate": 0.4, "shared": ["gates"]}],
    ),
    "emitting gru": variant("gru", {"units": 5, **BOTH}, {"x": (3, 5, 4)}, [{"at": "output", "rate": 0.3}]),
    "emitting rnn": variant(
        "simple_rnn", {"units": 5, "return_state": True}, {"x": (3, 5, 4)},
        [{"at": "output", "rate": 0.3, "shared": ["time"]}],
    ),
    "sites of two": variant(
        "encoder_decoder", {"units": 4, **BOTH}, {"x": (3, 4, 3), "z": (3, 5, 2), "h0": (3, 4), "c0": (3, 4)},
        [{"at": "encoder.input", "rate": 0.3, "shared": ["time"]}, {"at": "decoder.state.h", "rate": 0.4}],
    ),
    "equal halves": variant("encoder_decoder", {"units": 4, **BOTH}, {"x": (3, 4, 3), "z": (3, 4, 2)}),
    "words in batches": variant(
        "awd_lstm", {"vocabulary": 7, "features": 4, "units": 4, "layers": 2}, {"x": (4, 4)},
        [{"at": "output", "rate": 0.3, "shared": ["time"]}],
    ),
    "peepholes": variant("lstm", {"units": 4, "peepholes": True, "forget_bias": 1.0, **BOTH}, {"x": (3, 5, 3)}),
    "backwards": variant("lstm", {"units": 4, "go_backwards": True, **BOTH}, {"x": (3, 5, 3)}),
    "leaving": variant(
        "lstm", {"units": 5, "drop_leaving_state": True, **BOTH}, {"x": (4, 5, 3)},
        [{"at": "state.h", "rate": 0.4, "shared": ["gates"]}, {"at": "state.c", "rate": 0.4}],
    ),
    "last handover": variant("encoder_decoder", {"units": 4, "tied": True}, {"x": (3, 4, 3), "z": (3, 5, 3)}),
}  # fmt: skip
EVERY = CASES | MORE


def unlike(case: str) -> dict[str, int]:
    """Each input with a seed of its own: with the same numbers h0 and c0 cannot be told apart."""
    return {name: number + 20 for number, name in enumerate(EVERY[case].inputs)}


for _name in MORE:
    _seeds = unlike(_name)
    _inputs = {key: dataclasses.replace(spec, seed=_seeds[key]) for key, spec in EVERY[_name].inputs.items()}
    EVERY[_name] = dataclasses.replace(EVERY[_name], inputs=_inputs)
for _name in ("words", "words in batches"):
    _tokens = {"x": dataclasses.replace(EVERY[_name].inputs["x"], fill="integers", low=0, high=6)}
    EVERY[_name] = dataclasses.replace(EVERY[_name], inputs=_tokens)


def test_two_families_of_one_name_are_refused() -> None:
    families()
    with pytest.raises(ValueError, match=r"'gates\.order' is registered twice"):
        family("gates.order", "weights")(lambda setting: ())


def test_a_stage_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no stage 'somewhere'"):
        family("new", "somewhere")(lambda setting: ())
    assert "new" not in families()


def test_two_faults_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = first_setting(CASES["plain"])
    bad = dataclasses.replace(families()["bias.scale"], find=lambda setting: [fault(), fault()])
    monkeypatch.setitem(families(), "bias.scale", bad)
    with pytest.raises(FaultError, match="two faults are called 'same'"):
        catalogue(setting)


def fault() -> Fault:
    return Fault("same", "cause", "fix", lambda setting, inner: inner(setting))


def test_initial_states_are_those_that_the_kind_declares() -> None:
    """Their faults name them, whatever they are called."""
    setting = first_setting(EVERY["square states"])
    lost = [one.name for one in catalogue(setting) if one.name.startswith("inputs.state zero")]
    assert lost == ["inputs.state zero initial state", "inputs.state zero initial h", "inputs.state zero initial c"]
    other = copy.copy(setting.kind)
    vars(other)["states"] = ("m", "s")
    renamed = {{"h0": "m0", "c0": "s0"}.get(name, name): array for name, array in setting.inputs.items()}
    changed = setting.changed(kind=other, inputs=renamed)
    assert changed.starts == ("m0", "s0")
    lost = [one.name for one in families()["inputs.state"].find(changed)]
    assert lost == ["inputs.state zero initial state", "inputs.state zero initial m", "inputs.state zero initial s"]


def test_every_family_applies_somewhere() -> None:
    settings = [first_setting(case) for case in EVERY.values()]
    idle = [one.name for one in families().values() if not any(list(one.find(setting)) for setting in settings)]
    assert idle == []


def test_every_fault_says_what_it_is_and_what_to_do() -> None:
    for case in EVERY.values():
        for one in catalogue(first_setting(case)):
            assert one.cause and one.fix and one.rarity > 0, one.name
            assert not one.cause.endswith("."), one.name


def moved(setting: Setting, direction: dict[str, np.ndarray], step: float) -> Setting:
    def plus(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {k: array + step * direction[k] if k in direction else array for k, array in arrays.items()}

    return setting.changed(inputs=plus(setting.inputs), weights=plus(setting.weights))


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_the_faulty_outputs(name: str) -> None:
    """The derivative along a random direction, by central differences."""
    setting = first_setting(EVERY[name])
    assert setting.cotangents is not None
    generator = np.random.default_rng(3)
    integers = setting.kind.integer_inputs(setting.config, setting.shapes())
    arrays = {**setting.inputs, **setting.weights}
    direction = {k: generator.standard_normal(a.shape) for k, a in arrays.items() if k not in integers}

    def loss(run: object, at: Setting) -> float:
        assert callable(run)
        found = run(at.changed(cotangents=None)).outputs
        return sum(float((setting.cotangents or {})[k].ravel() @ found[k].ravel()) for k in found)

    checked = 0
    for one in catalogue(setting):
        run = planted([one])
        try:
            gradients = run(setting).gradients
        except ValueError:
            continue
        # A layout without a fitting cotangent, and what acts in the backward pass alone, have no such gradients.
        if one.silent or not set(direction) <= set(gradients):
            continue
        checked += 1
        analytic = sum(float((gradients[k] * direction[k]).sum()) for k in direction)
        step = 1e-6
        numeric = (loss(run, moved(setting, direction, step)) - loss(run, moved(setting, direction, -step))) / (
            2 * step
        )
        assert analytic == pytest.approx(numeric, rel=2e-5, abs=2e-6), one.name
    assert checked >= 5


def test_the_reference_itself_is_no_fault() -> None:
    setting = first_setting(CASES["plain"])
    assert planted([])(setting).outputs["y"] is not None
    np.testing.assert_array_equal(planted([])(setting).outputs["y"], reference(setting).outputs["y"])


FINDABLE = [name for name in EVERY if name != "same"]


def found_first(case: str, fault: str) -> str:
    """ "" where the fault, planted, is a cause that is named; else what was named."""
    diagnosis = diagnose(evidence(EVERY[case], fault), Advice())
    if diagnosis is None:
        return f"{fault}: not noticed"
    fits = [{one.name for one in fit.faults} for fit in diagnosis.fits]
    return "" if {fault} in fits and len(diagnosis.names) == 1 else f"{fault}: {said(diagnosis)}"


def findable(case: str) -> list[str]:
    """The faults that the case notices, and whose values are on its tape."""
    fresh = {one.name for one in catalogue(first_setting(EVERY[case])) if one.fresh}
    return [
        one.fault
        for one in power(EVERY[case])
        if one.noticed and one.fault not in fresh and "precision" not in one.fault
    ]


@pytest.mark.parametrize("case", ["plain", "dropout", "masked", "alpha", "rnn", "dropped gru"])
def test_one_fault_of_each_family_is_found(case: str) -> None:
    firsts: dict[str, str] = {}
    for one in findable(case):
        firsts.setdefault(one.split(" ")[0].split("[")[0], one)
    missed = [found_first(case, one) for one in firsts.values()]
    assert [text for text in missed if text] == []


@cache
def shares() -> dict[str, list[str]]:
    """Every fault once: in the first case that can show it."""
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    for case in FINDABLE:
        found[case] = [one for one in findable(case) if one not in seen]
        seen.update(found[case])
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", FINDABLE)
def test_every_fault_is_found(case: str) -> None:
    missed = [found_first(case, one) for one in shares()[case]]
    assert [text for text in missed if text] == []
