"""Which faults of the catalogue give the numbers that were seen: each alone, then pairs, within an amount of work.

A pair is looked for among faults that explain something by themselves: an array, the first step of a sequence or the evaluation
pass exactly, or at least a part of the deviation.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from harness.diagnosis.cutting import cut, local
from harness.diagnosis.fault import Fault, FaultError, catalogue
from harness.diagnosis.observed import SLACK, Observed, own_limits, predicted
from harness.diagnosis.setting import Setting
from harness.internal import failure
from harness.records import Arrays, Failure

#: Work for single faults, and then for pairs; a trial on the smallest case is 1 and takes about a millisecond. It is counted, not
#: timed, so that a busy machine, a resumed run or a shard names the same cause. A small case needs a fraction of it.
SINGLES, PAIRS = 6000.0, 4000.0
#: Seconds after which a search ends all the same, for reference evaluations that are far slower than their size says.
PATIENCE = 120.0
#: Faults that explain only a part are paired among this many of the best.
BEST = 24


@dataclass(frozen=True)
class Explanation:
    """Faults that give the numbers. worst: largest deviation over its limit; explained: arrays (by pass) of `failing`."""

    faults: tuple[Fault, ...]
    worst: float
    explained: int
    failing: int
    widened: bool = False

    @property
    def cost(self) -> tuple[float, float]:
        """Fewest and most everyday faults first; then the closest."""
        return len(self.faults) * 10 + sum(fault.rarity for fault in self.faults), self.worst


@dataclass(frozen=True)
class Found:
    """What a search gave.

    fits      full explanations, best first; partial: the best of the others.
    complete  all was tried. errors: faults that failed, each in a line.
    """

    fits: list[Explanation]
    partial: Explanation | None
    failing: int
    tried: int
    complete: bool
    errors: tuple[Failure, ...] = ()


@dataclass
class _Trial:
    """One fault on the forward pass: how much of the deviation is left, and what it explains exactly."""

    fault: Fault
    left: float
    parts: frozenset[str] = field(default_factory=frozenset)


class Search:
    """A search over one implementation's passes. singles, pairs: how much work for each; patience: seconds for both."""

    def __init__(
        self,
        passes: list[Observed],
        *,
        singles: float = SINGLES,
        pairs: float = PAIRS,
        patience: float = PATIENCE,
    ) -> None:
        self.passes = passes
        self.failing = {(k, name) for k, one in enumerate(passes) for name in one.failing()}
        self.forward_fails = any(not name.startswith("gradient.") for _, name in self.failing)
        # Forward passes decide first: the first training pass that fails, and evaluation.
        failed = {k for k, _ in self.failing}
        main = next((k for k in sorted(failed) if passes[k].setting.train == passes[0].setting.train), 0)
        self.quick = [one for k, one in enumerate(passes) if k == main or one.setting.train != passes[0].setting.train]
        self.parts = [part for part in map(cut, self.quick) if part is not None] if self.forward_fails else []
        trial = sum(map(work, self.quick))
        self.limits = singles / trial, pairs / trial
        self.patience = patience
        self.tried = 0
        #: Faults of the catalogue that failed, each told once: they are our own errors, and no reason to search no further.
        self.errors: list[Failure] = []
        self.partial: Explanation | None = None

    def run(self) -> Found:
        """Singles, then pairs where no single fault explains all."""
        faults = [fault for fault in catalogue(self.passes[0].setting, self.errors) if not fault.fresh]
        start = time.monotonic()
        trials, fits, complete = [], [], True
        for number, fault in enumerate(faults):
            if number >= self.limits[0] or time.monotonic() - start > self.patience:
                complete = False
                break
            trial, fit = self._try((fault,))
            if trial is not None:
                trials.append(trial)
            if fit is not None:
                fits.append(fit)
        if not fits:
            for number, pair in enumerate(self._pairs(trials)):
                if number >= self.limits[1] or time.monotonic() - start > self.patience:
                    complete = False
                    break
                _, fit = self._try(pair)
                if fit is not None:
                    fits.append(fit)
        ranked = sorted(fits, key=lambda fit: fit.cost)
        return Found(ranked, self.partial, len(self.failing), self.tried, complete, tuple(self.errors))

    def _predicted(self, faults: tuple[Fault, ...], setting: Setting) -> Arrays | None:
        """What these faults give; None where they do not fit, or where one fails, which is told in `errors`."""
        try:
            return predicted(faults, setting)
        except FaultError as error:
            if all(known.text != str(error) for known in self.errors):
                self.errors.append(failure(error, "", str(error)))
            return None

    def _pairs(self, trials: list[_Trial]) -> Iterator[tuple[Fault, Fault]]:
        """Pairs to try, the most promising first."""
        helpful = sorted((trial for trial in trials if trial.parts), key=lambda t: (-len(t.parts), t.fault.rarity))
        closer = sorted((trial for trial in trials if trial.left < 0.999), key=lambda t: t.left)[:BEST]
        ranked = sorted(trials, key=lambda trial: trial.left)
        seen: set[frozenset[str]] = set()

        def new(first: _Trial, second: _Trial) -> bool:
            key = frozenset((first.fault.name, second.fault.name))
            if len(key) < 2 or key in seen:
                return False
            seen.add(key)
            return True

        for first, second in itertools.combinations(helpful, 2):
            if first.parts != second.parts and new(first, second):
                yield first.fault, second.fault
        for first in helpful[:BEST]:
            for second in ranked:
                if new(first, second):
                    yield first.fault, second.fault
        for first, second in itertools.combinations(closer, 2):
            if new(first, second):
                yield first.fault, second.fault
        for first in closer[: BEST // 3]:
            for second in sorted(trials, key=lambda trial: trial.fault.rarity):
                if new(first, second):
                    yield first.fault, second.fault

    def _try(self, faults: tuple[Fault, ...]) -> tuple[_Trial | None, Explanation | None]:
        """A part of the forward passes first, then these; gradients and the other seeds only where they fit."""
        self.tried += 1
        if self.parts and local(faults):
            trial, _, close, _ = self._forward(faults, self.parts)
            if trial is not None and not close and not trial.parts:
                return trial, None
        trial, changed, close, fits = self._forward(faults, self.quick)
        if not fits or trial is None:
            return None, None
        if self.forward_fails and not changed:
            # It changes no output here: it may still be what the gradients or other calls lack, beside another fault.
            return (trial if faults[0].silent else None), None
        if not close:
            self._remember(faults, trial)
            return trial, None
        return trial, self._verified(faults)

    def _forward(self, faults: tuple[Fault, ...], passes: list[Observed]) -> tuple[_Trial | None, bool, bool, bool]:
        """(the trial, whether an output changed, whether all outputs are close, whether the faults fit) on some passes."""
        left, parts, close, changed = [], set(), True, False
        for one in passes:
            wanted = one.setting.changed(cotangents=None) if self.forward_fails else one.setting
            found = self._predicted(faults, wanted)
            if found is None:
                return None, False, False, False
            mode = one.one.role
            for name in one.actual:
                if name not in found:
                    continue
                now = one.ratio(name, found[name])
                before = float("inf") if one.expected is None else one.ratio(name, one.expected[name])
                changed |= now != before
                close &= now <= SLACK
                if not one.right(name):
                    left.append(_share(one, name, found))
                    if now <= 1.0:
                        parts.add(f"{mode} {name}")
                    elif _first_step(one, name, found):
                        parts.add(f"{mode} {name} first step")
        return _Trial(faults[0], float(np.mean(left)) if left else 1.0, frozenset(parts)), changed, close, True

    def _verified(self, faults: tuple[Fault, ...]) -> Explanation | None:
        """The explanation if all arrays of all passes agree, gradients too."""
        worst, explained, widened = 0.0, set(), False
        compared = set()
        for number, one in enumerate(self.passes):
            found = self._predicted(faults, one.setting)
            if found is None:
                return None
            ratios = {name: one.ratio(name, found[name]) for name in one.actual if name in found}
            if any(1.0 < ratio <= SLACK for ratio in ratios.values()) and max(ratios.values()) <= SLACK:
                limits = own_limits(faults, one)
                again = {name: _over(ratio, one.limits[name], limits[name]) for name, ratio in ratios.items()}
                widened = widened or any(again[name] <= 1.0 < ratios[name] for name in ratios)
                ratios = again
            compared |= {(number, name) for name in ratios}
            explained |= {(number, name) for name, ratio in ratios.items() if ratio <= 1.0}
            worst = max(worst, *ratios.values())
        hits = len(explained & self.failing)
        explanation = Explanation(faults, worst, hits, len(self.failing), widened)
        # Arrays of a shape that has no cotangent have no predicted gradient; they are no counter-evidence.
        if worst <= 1.0 and hits and self.failing & compared == self.failing & explained:
            return explanation
        self._best(explanation)
        return None

    def _remember(self, faults: tuple[Fault, ...], trial: _Trial) -> None:
        whole = sum(1 for part in trial.parts if "first step" not in part)
        if whole:
            self._best(Explanation(faults, float("inf"), whole, len(self.failing)))

    def _best(self, one: Explanation) -> None:
        if one.explained and (
            self.partial is None or (-one.explained, one.cost) < (-self.partial.explained, self.partial.cost)
        ):
            self.partial = one


def work(one: Observed) -> float:
    """What an evaluation of a pass costs, from its size alone; the smallest case costs 1."""
    steps = max((array.shape[1] for array in one.setting.inputs.values() if array.ndim == 3), default=0)
    size = sum(
        array.size for arrays in (one.setting.inputs, one.setting.weights, one.actual) for array in arrays.values()
    )
    return 1.0 + steps / 8.0 + size / 2.0**14


def _over(ratio: float, limit: float, wider: float) -> float:
    return ratio * limit / wider if 0.0 < limit < float("inf") and wider > 0.0 else ratio


def _share(one: Observed, name: str, found: Arrays) -> float:
    """The root mean square of the deviation, as a share of what it is without the fault; at most 2."""
    actual = np.asarray(one.actual[name], dtype=np.float64)
    if one.expected is None or one.expected[name].shape != actual.shape or found[name].shape != actual.shape:
        return 0.0 if one.ratio(name, found[name]) <= 1.0 else 1.0
    before = float(np.sqrt(np.mean((actual - one.expected[name]) ** 2)))
    after = float(np.sqrt(np.mean((actual - found[name]) ** 2)))
    return min(after / before, 2.0) if before > 0.0 and np.isfinite(after) else 1.0


def _first_step(one: Observed, name: str, found: Arrays) -> bool:
    """Whether the first step of a sequence (B, T, ·), wrong before, is right now."""
    actual, now = one.actual[name], found[name]
    if actual.ndim != 3 or now.shape != actual.shape or actual.shape[1] < 2 or one.expected is None:
        return False
    limit = one.limits[name]
    with np.errstate(invalid="ignore"):  # infinities on both sides
        was = np.abs(np.asarray(actual[:, 0], dtype=np.float64) - one.expected[name][:, 0]).max(initial=0.0)
        is_now = np.abs(np.asarray(actual[:, 0], dtype=np.float64) - now[:, 0]).max(initial=0.0)
    return bool(was > limit >= is_now)
