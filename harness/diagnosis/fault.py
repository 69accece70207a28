"""What a fault is, and how faults are found: every family of faults is a function in `harness.diagnosis.faults`.

A family is handed a setting and gives the faults that can be planted in it, so that one knows its own conditions (shapes,
sites, options). A fault wraps an evaluation: it changes what goes in, calls the inner one, and changes what comes out. Two
faults at once are one wrapped in the other.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from harness.diagnosis.setting import Inner, Setting, reference
from harness.layers.base import Evaluation

Run = Callable[[Setting, Inner], Evaluation]

#: Where a fault acts, outermost first. Two faults are nested in this order.
STAGES = ("outputs", "gradients", "inputs", "draws", "layout", "layer", "weights")


@dataclass(frozen=True)
class Fault:
    """One thing that people get wrong.

    name    unique: `gates.order[i,g,f,o] kernel`.
    cause   what it is, as a report says it.
    fix     what to do, in the user's terms; `fixes` by backend where that differs.
    run     the reference with the fault.
    rarity  1: everyday; larger: less to be expected. Decides between faults that give the same numbers.
    silent  the first forward pass shows nothing of it: it acts in the backward pass or in later calls.
    fresh   the fault draws values that no tape has recorded: it can be judged by masks and statistics, not by values.
    """

    name: str
    cause: str
    fix: str
    run: Run
    rarity: float = 1.0
    fixes: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    silent: bool = False
    stage: str = ""

    def fix_for(self, backend: str) -> str:
        """The fix in a backend's terms."""
        return self.fixes.get(backend, self.fix)


Find = Callable[[Setting], Iterable[Fault]]


@dataclass(frozen=True)
class Family:
    """A registered family of faults."""

    name: str
    stage: str
    find: Find


_FAMILIES: dict[str, Family] = {}
_LOADED = False


def family(name: str, stage: str) -> Callable[[Find], Find]:
    """Register a family of faults; two of one name, or a stage that is none, are an error."""

    def decorate(find: Find) -> Find:
        if name in _FAMILIES:
            raise ValueError(f"the family of faults {name!r} is defined twice")
        if stage not in STAGES:
            raise ValueError(f"no stage {stage!r}: {', '.join(STAGES)}")
        _FAMILIES[name] = Family(name, stage, find)
        return find

    return decorate


def families() -> dict[str, Family]:
    """All families by name; imports every module of `harness.diagnosis.faults` once."""
    global _LOADED
    if not _LOADED:
        package = importlib.import_module("harness.diagnosis.faults")
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            importlib.import_module(f"harness.diagnosis.faults.{module}")
        _LOADED = True
    return _FAMILIES


def catalogue(setting: Setting) -> list[Fault]:
    """Every fault that can be planted in a setting, the everyday ones first. Raises ValueError for two of one name."""
    found: dict[str, Fault] = {}
    for one in families().values():
        for fault in one.find(setting):
            if fault.name in found:
                raise ValueError(f"two faults are called {fault.name!r}")
            silent = fault.silent or one.stage == "gradients"
            found[fault.name] = dataclasses.replace(fault, stage=one.stage, silent=silent)
    return sorted(found.values(), key=lambda fault: fault.rarity)


def planted(faults: Iterable[Fault]) -> Inner:
    """The reference with these faults, nested by their stages."""
    inner: Inner = reference
    for fault in sorted(faults, key=lambda one: -STAGES.index(one.stage)):
        inner = _wrapped(fault, inner)
    return inner


def _wrapped(fault: Fault, inner: Inner) -> Inner:
    return lambda setting: fault.run(setting, inner)
