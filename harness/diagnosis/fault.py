"""What a fault is, and how faults are found: every family of faults is a function in `harness.diagnosis.faults`.

A family is handed a setting and gives the faults that can be planted in it, so that one knows its own conditions (shapes,
sites, options). A fault wraps an evaluation: it changes what goes in, calls the inner one, and changes what comes out. Two
faults at once are one wrapped in the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from harness.diagnosis.setting import Inner, Setting, reference
from harness.internal import failure
from harness.layers.base import DoesNotFit, Evaluation
from harness.records import Failure
from harness.registry import Registry


class FaultError(Exception):
    """A fault, or a family of them, failed: an error of the catalogue, which says nothing about the code under test."""


Run = Callable[[Setting, Inner], Evaluation]

#: Where a fault acts, outermost first. Two faults are nested in this order.
STAGES = ("outputs", "gradients", "inputs", "draws", "layout", "layer", "weights")


@dataclass(frozen=True)
class Fault:
    """One thing that people get wrong.

    name    unique: `gates.order[i,g,f,o] kernel`.
    cause   what it is, as a report says it.
    fix     what to do, in everyone's terms. Frameworks say it in their own (harness.diagnosis.advice), with these `words`.
    run     the reference with the fault.
    otherwise   what else may be done, whatever the framework; "" where there is nothing.
    rarity  1: everyday; larger: less to be expected. Decides between faults that give the same numbers.
    silent  the first forward pass shows nothing of it: it acts in the backward pass or in later calls.
    fresh   the fault draws values that no tape has recorded: it can be judged by masks and statistics, not by values.
    """

    name: str
    cause: str
    fix: str
    run: Run
    rarity: float = 1.0
    words: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    silent: bool = False
    stage: str = ""
    otherwise: str = ""


Find = Callable[[Setting], Iterable[Fault]]


@dataclass(frozen=True)
class Family:
    """A registered family of faults."""

    name: str
    stage: str
    find: Find


_FAMILIES: Registry[Family] = Registry("the family of faults", "harness.diagnosis.faults")


def family(name: str, stage: str) -> Callable[[Find], Find]:
    """Register a family of faults; two of one name, or a stage that is none, are an error."""

    def decorate(find: Find) -> Find:
        if stage not in STAGES:
            raise ValueError(f"no stage {stage!r}: {', '.join(STAGES)}")
        _FAMILIES.add(name, Family(name, stage, find), find)
        return find

    return decorate


def families() -> dict[str, Family]:
    """All families by name; imports every module of `harness.diagnosis.faults` once."""
    return _FAMILIES.all()


def catalogue(setting: Setting, errors: list[Failure] | None = None) -> list[Fault]:
    """Every fault that can be planted in a setting, the everyday ones first.

    errors  where it is given, a family that fails is told there and left out; else it raises FaultError.
    """
    found: dict[str, Fault] = {}
    for one in families().values():
        try:
            listed = _listed(one, setting)
        except FaultError as error:
            if errors is None:
                raise
            errors.append(failure(error, "", str(error)))
            continue
        for fault in listed:
            if fault.name in found:
                raise FaultError(f"two faults are called {fault.name!r}")
            silent = fault.silent or one.stage == "gradients"
            found[fault.name] = dataclasses.replace(fault, stage=one.stage, silent=silent)
    return sorted(found.values(), key=lambda fault: fault.rarity)


def _listed(one: Family, setting: Setting) -> list[Fault]:
    try:
        return list(one.find(setting))
    except Exception as error:
        raise FaultError(f"the family of faults {one.name!r} failed: {type(error).__name__}: {error}") from error


def planted(faults: Iterable[Fault]) -> Inner:
    """The reference with these faults, nested by their stages.

    It raises DoesNotFit where a fault cannot be planted in a setting after all, and FaultError for everything else that a fault
    raises: a mistake in a fault is not "does not fit".
    """
    inner: Inner = reference
    for fault in sorted(faults, key=lambda one: -STAGES.index(one.stage)):
        inner = _wrapped(fault, inner)
    return inner


def _wrapped(fault: Fault, inner: Inner) -> Inner:
    def run(setting: Setting) -> Evaluation:
        try:
            return fault.run(setting, inner)
        except (DoesNotFit, FaultError):
            raise
        except Exception as error:
            raise FaultError(f"the fault {fault.name!r} failed: {type(error).__name__}: {error}") from error

    return run
