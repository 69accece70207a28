"""From differing numbers to a cause in words: search, precision, and where the two part; and the hook for the rows of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from harness.comparison.context import Evidence
from harness.comparison.kept import FAMILIES
from harness.diagnosis.advice import Advice, advice_for
from harness.diagnosis.drawn import sharing
from harness.diagnosis.observed import Observed, observed
from harness.diagnosis.parting import parting
from harness.diagnosis.precision import Coarse, coarse, narrower
from harness.diagnosis.search import Explanation, Found, Search
from harness.internal import failure, noted
from harness.records import Compared, Failure, Row, Verdict

#: Rows that are read off outputs and gradients: the noise that a layer applied, and where a gradient is zero.
SYMPTOMS = ("noise.", "mask.backward")
#: Faults that give the same numbers and are named beside the first.
TIES = 3


@dataclass(frozen=True)
class Diagnosis:
    """What was found. Either `fits` (best first), or `coarse`, or where the two part."""

    advice: Advice
    fits: tuple[Explanation, ...]
    coarse: Coarse | None
    partial: Explanation | None
    parting: str
    failing: int
    tried: int
    complete: bool
    errors: tuple[Failure, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the faults of the first-named cause; () where none fits."""
        if self.fits:
            return tuple(fault.name for fault in self.fits[0].faults)
        return (f"precision.{self.coarse.format}",) if self.coarse else ()

    @property
    def cause(self) -> str:
        """The first-named cause, short."""
        if self.fits:
            return words(self.fits[0])
        return self.coarse.cause if self.coarse else "no known fault gives these numbers"

    @property
    def proof(self) -> str:
        """How well the cause explains the numbers, and what gives the same ones; where none does, how near the nearest comes."""
        if self.fits:
            return "; ".join([how_well(self.fits[0]), *self._ties()])
        if self.coarse is not None:
            return f"at most {self.coarse.worst:.2g} of what such rounding allows"
        parts = [] if self.complete else [f"{self.tried} were tried, and more remain"]
        if self.partial is not None:
            parts.append(
                f"nearest: {words(self.partial)}, which explains {self.partial.explained} of {self.partial.failing} "
                "differing arrays"
            )
        return "; ".join([*parts, *([self.parting] if self.parting else [])])

    @property
    def fix(self) -> str:
        """What to do about it; "" where no cause is known."""
        if self.fits:
            return self._fix()
        return "" if self.coarse is None else self._coarse_fix()

    def _ties(self) -> list[str]:
        others = self.fits[1:]
        if not others:
            return []
        shown = ", or ".join(words(fit) for fit in others[:TIES])
        more = f", or {len(others) - TIES} more" if len(others) > TIES else ""
        return [f"on this case's data the same as: {shown}{more}"]

    def _fix(self) -> str:
        fixes = [
            "; or ".join(filter(None, [self.advice.fix(fault.name, fault.fix, fault.words), fault.otherwise]))
            for fault in self.fits[0].faults
        ]
        return fixes[0] if len(set(fixes)) == 1 else numbered(fixes)

    def _coarse_fix(self) -> str:
        (name,) = self.names
        return self.advice.fix(name, "compute in the case's dtype throughout, matrix products too", {})


def words(one: Explanation) -> str:
    """The causes of an explanation's faults."""
    return numbered([fault.cause for fault in one.faults])


def numbered(texts: list[str]) -> str:
    """One text as it is; several numbered, so that the fixes of causes can be told apart: `(1) …; (2) …`."""
    return texts[0] if len(texts) == 1 else "; ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))


def how_well(one: Explanation) -> str:
    """`explains all 7 differing arrays to within 0.4 of their limits`."""
    which = {1: "the differing array", 2: "both differing arrays"}.get(
        one.failing, f"all {one.failing} differing arrays"
    )
    if one.explained < one.failing:
        which = f"{one.explained} of {one.failing} differing arrays (the others have no prediction)"
    whose = " (those of the faulty layer)" if one.widened else ""
    return f"explains {which} to within {one.worst:.2g} of {'its limit' if one.failing == 1 else 'their limits'}{whose}"


def diagnose(evidence: Evidence, advice: Advice) -> Diagnosis | None:
    """The cause of what an implementation gave; None where every array is within its limit."""
    passes = observed(evidence)
    if not any(one.failing() for one in passes):
        return None
    return found(passes, advice)


def found(passes: list[Observed], advice: Advice, search: Search | None = None) -> Diagnosis:
    """The cause of the failing arrays of some passes."""
    rough = None
    dtype = passes[0].setting.dtype
    if dtype == "float64":
        # A float32 result where float64 was meant is common, and no other fault lies that near.
        rough = coarse(passes, ["float32"])
    result = Found([], None, 0, 0, True) if rough is not None and rough.stored else (search or Search(passes)).run()
    if not result.fits and rough is None:
        rough = coarse(passes, narrower(dtype))
    return Diagnosis(
        advice,
        tuple(result.fits),
        None if result.fits else rough,
        result.partial,
        "" if result.fits or rough is not None else parting(passes),
        result.failing,
        result.tried,
        result.complete,
        result.errors,
    )


def explained(compared: Compared, evidence: Evidence) -> Compared:
    """The same rows, the unexplained failures among them with their cause. Verdicts stay; without failures it costs nothing."""
    versions = evidence.job.versions if evidence.job is not None else {}
    advice = advice_for(compared.backend, evidence.variant.layer, versions)
    compared = _shared(compared, evidence, advice)
    places = [place for place, row in enumerate(compared.rows) if unexplained(row)]
    if not places:
        return compared
    errors: tuple[Failure, ...] = ()
    diagnosis = None
    try:
        diagnosis = diagnose(evidence, advice)
        if diagnosis is None:
            return compared
        cause, proof, fix, errors = diagnosis.cause, diagnosis.proof, diagnosis.fix, diagnosis.errors
    except Exception as error:
        # A bug in the search must not hide the difference that it was to explain.
        failed = failure(error, "the cause was searched for")
        cause, proof, fix = f"the search for the cause failed: {failed.text}", "", ""
        errors = (failed,)
    rows = list(compared.rows)
    for place in places:
        rows[place] = dataclasses.replace(rows[place], diagnosis=cause, proof=proof, fix=fix)
    whole = diagnosis is not None and diagnosis.fits and diagnosis.fits[0].explained == diagnosis.failing
    compared = dataclasses.replace(compared, rows=tuple(rows), whole=(cause, proof, fix) if whole else ())
    return noted(with_symptoms(compared), errors, "diagnosis")


def with_symptoms(compared: Compared) -> Compared:
    """The same, with what was read off the numbers alone under the cause that gives them all."""
    if not compared.whole:
        return compared
    cause, proof, fix = compared.whole
    rows = [
        dataclasses.replace(row, diagnosis=cause, proof=proof, fix=fix) if symptom(row) else row
        for row in compared.rows
    ]
    return dataclasses.replace(compared, rows=tuple(rows))


def _shared(compared: Compared, evidence: Evidence, advice: Advice) -> Compared:
    """Rows of masks that are shared otherwise get what that means, and the fix."""
    rows = list(compared.rows)
    for place, row in enumerate(rows):
        if row.check == "mask.shared" and row.verdict is Verdict.FAIL:
            means, fix = sharing(evidence, advice)
            rows[place] = dataclasses.replace(row, diagnosis=means, fix=fix)
    return dataclasses.replace(compared, rows=tuple(rows))


def symptom(row: Row) -> bool:
    """Whether a row is read off outputs and gradients alone, so that what gives every one of these numbers explains it."""
    return row.verdict is Verdict.FAIL and row.check.startswith(SYMPTOMS) and not row.diagnosis


def unexplained(row: Row) -> bool:
    """Whether a row is a difference in values for which no reason is known."""
    return row.verdict is Verdict.FAIL and row.check.startswith(FAMILIES)
