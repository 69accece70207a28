"""A mistake in a fault is an error that names the fault; a fault that does not fit a case is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import pytest
from planting import compared, evidence, first_setting
from port_cases import CASES

from harness.diagnosis.fault import Fault, FaultError, catalogue, families, planted
from harness.diagnosis.observed import observed, predicted
from harness.diagnosis.power import power
from harness.diagnosis.search import Search
from harness.diagnosis.setting import Inner, Setting
from harness.layers.base import DoesNotFit, Evaluation
from harness.records import Verdict

PLAIN = CASES["plain"]
MISTAKES = {
    "KeyError: 'no_such_weight'": lambda setting: setting.weights["no_such_weight"],
    "IndexError: tuple index out of range": lambda setting: setting.inputs["x"].shape[7],
    "ValueError: cannot reshape array": lambda setting: setting.inputs["x"].reshape(7, 11, 13),
    "AttributeError": lambda setting: setting.config.no_such_option,
}  # fmt: skip


def faulty(mistake: Callable[[Setting], object]) -> Fault:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        mistake(setting)
        return inner(setting)

    return Fault("buggy", "a cause", "a fix", run, rarity=0.1, stage="weights")


def plant(monkeypatch: pytest.MonkeyPatch, family: str, mistake: Callable[[Setting], object]) -> None:
    """The family's own faults and one with a mistake in it."""
    own = families()[family]

    def find(setting: Setting) -> Iterable[Fault]:
        return [faulty(mistake), *own.find(setting)]

    monkeypatch.setitem(families(), family, dataclasses.replace(own, find=find))


@pytest.mark.parametrize("family", sorted(families()))
def test_a_buggy_fault_is_told_by_power(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, family, MISTAKES["KeyError: 'no_such_weight'"])
    with pytest.raises(FaultError, match="the fault 'buggy' failed: KeyError: 'no_such_weight'"):
        power(PLAIN)


@pytest.mark.parametrize("family", sorted(families()))
def test_a_buggy_fault_is_a_row_and_hides_no_cause(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, family, MISTAKES["IndexError: tuple index out of range"])
    rows = {row.check: row for row in compared(PLAIN, "bias.doubled").rows}
    assert rows["diagnosis"].verdict is Verdict.ERROR
    assert rows["diagnosis"].cause.startswith(
        "internal error: the fault 'buggy' failed: IndexError: tuple index out of range"
    )
    assert rows["value.y"].diagnosis == "bias added twice"


@pytest.mark.parametrize("words", MISTAKES)
def test_every_mistake_is_an_error_of_the_fault(words: str) -> None:
    with pytest.raises(FaultError, match=f"the fault 'buggy' failed: {words}"):
        predicted((faulty(MISTAKES[words]),), first_setting(PLAIN))


def test_what_does_not_fit_is_no_error() -> None:
    def unfit(setting: Setting) -> None:
        raise DoesNotFit("on purpose")

    assert predicted((faulty(unfit),), first_setting(PLAIN)) is None


def test_a_family_that_fails_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(setting: Setting) -> Iterable[Fault]:
        raise TypeError("broken")

    seen = observed(evidence(PLAIN, "bias.doubled"))
    monkeypatch.setitem(families(), "layout", dataclasses.replace(families()["layout"], find=find))
    found = Search(seen).run()
    assert [one.text for one in found.errors] == ["the family of faults 'layout' failed: TypeError: broken"]
    assert "in find" in found.errors[0].trace
    assert found.fits[0].faults[0].name == "bias.doubled"
    with pytest.raises(FaultError, match="family of faults 'layout' failed"):
        power(PLAIN)


@pytest.mark.parametrize("name", CASES)
def test_no_fault_of_the_catalogue_fails(name: str) -> None:
    """Nor where nothing was drawn, or where draws have another shape."""
    setting = first_setting(CASES[name])
    wide = {key: draw.repeat(2, axis=-1) for key, draw in setting.draws.items()}
    flat = {key: draw.reshape(-1) for key, draw in setting.draws.items()}
    fits = 0
    for fault in catalogue(setting):
        for draws in (setting.draws, {}, wide, flat):
            for train in (True, False):
                try:
                    planted([fault])(setting.changed(draws=draws, train=train))
                except DoesNotFit:
                    continue
                fits += 1
    assert fits
